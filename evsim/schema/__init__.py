"""What a payload promises: versions of its model, what they can read of one another, and how old ones are brought up.

``Registry`` keeps the versions and refuses a change that breaks its mode; ``compatible(old, new, mode)`` is the verdict
on one change, with an example of what fails; upcasters bring old payloads to the newest version.
"""

from evsim.schema.proof import Proof
from evsim.schema.reading import Problem, reads, takes
from evsim.schema.registry import Registry
from evsim.schema.verdict import MODES, UPGRADE_FIRST, Change, Verdict, changes, compatible
from evsim.schema.weak import weakened

__all__ = [
    "MODES",
    "UPGRADE_FIRST",
    "Change",
    "Problem",
    "Proof",
    "Registry",
    "Verdict",
    "changes",
    "compatible",
    "reads",
    "takes",
    "weakened",
]
