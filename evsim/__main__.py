"""``python -m evsim`` is ``evsim``."""

from evsim.cli import main

if __name__ == "__main__":
    main()
