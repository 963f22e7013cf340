"""Known-bad versions of our own code use the small worlds of the other tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
