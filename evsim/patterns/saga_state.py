"""Where a saga stands: a state for each step, and how what is learnt or decided moves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from evsim.patterns.saga_step import Step

Outcome = Literal["completed", "compensated", "stuck"]
Phase = Literal[
    "idle", "asked", "resting", "due", "done", "refused", "failed", "unknown",
    "undoing", "undo_resting", "undo_due", "undone", "stuck",
]  # fmt: skip

NEWS: Mapping[str, str] = {"completed": "completed", "compensated": "cancelled", "stuck": "stuck"}
"""How the end of a saga is told to others: ``order.completed``."""

_ABOUT_THE_ANSWER = {"try", "answer"}
OPEN = {"asked", "resting", "due"}
_UNDOING = {"undoing", "undo_resting", "undo_due"}


class Fact(NamedTuple):
    """Something that the saga has learnt or decided: what its state is made of."""

    type: str
    data: Mapping[str, Any]


class Send(NamedTuple):
    """Something to send: a command, the news of an end, or a case for a human."""

    type: str
    data: Mapping[str, Any]
    manual: bool = False


class Timer(NamedTuple):
    """An event to be told to the saga after some seconds: it was asked for nothing unless an answer came before."""

    type: str
    data: Mapping[str, Any]
    after_s: float
    step: int
    undo: bool


@dataclass(frozen=True)
class Leg:
    """Where one step stands."""

    phase: Phase = "idle"
    tries: int = 0
    failures: int = 0
    undo_tries: int = 0
    again: bool = False


@dataclass(frozen=True)
class State:
    """Where a saga stands: each of its steps, whether it has turned back, how it has ended, and what it knows."""

    legs: tuple[Leg, ...]
    begun: bool = False
    turned: bool = False
    outcome: Outcome | None = None
    told: frozenset[str] = frozenset()
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """What the rest of the system may know: pending, cancelling, or how it has ended."""
        if self.outcome is not None:
            return NEWS[self.outcome]
        return "cancelling" if self.turned else "pending" if self.begun else "unborn"


class Decision(NamedTuple):
    """What the saga answers to an event: its new state, the facts that led there, what to send, when to wake up."""

    state: State
    facts: tuple[Fact, ...] = ()
    sends: tuple[Send, ...] = ()
    timers: tuple[Timer, ...] = ()


def learnt_from(data: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer tells that later steps may want to know."""
    new = {name: value for name, value in data.items() if name not in _ABOUT_THE_ANSWER and known.get(name) != value}
    return {"data": new} if new else {}


def is_news(leg: Leg, turned: bool, undo: bool, said: str, attempt: Any) -> bool:
    """Whether what was said about a step can change anything."""
    if undo:
        mine = attempt is None or attempt == leg.undo_tries
        match said:
            case "done":
                return leg.phase in _UNDOING or (turned and leg.phase == "stuck")
            case "failed" | "refused":
                return mine and leg.phase == "undoing"
            case "expired":
                return mine and leg.phase in {"undoing", "undo_resting"}
        return False
    mine = attempt is None or attempt == leg.tries
    match said:
        case "done":
            return leg.phase not in {"idle", "done"} and not leg.again
        case "refused":
            return leg.phase in OPEN or leg.phase == "unknown"
        case "failed":
            return mine and leg.phase == "asked"
        case "expired":
            return mine and leg.phase in {"asked", "resting"}
    return False


def moved(leg: Leg, what: str, turned: bool, step: Step) -> Leg:
    """Where a step stands after a fact about it."""
    rests = bool(step.wait_s)
    match what:
        case "step.asked":
            return replace(leg, phase="asked", tries=leg.tries + 1)
        case "step.done" if turned and leg.phase in _UNDOING:  # nobody knows which of the two came first
            return replace(leg, again=True)
        case "step.done":
            return replace(leg, phase="done", undo_tries=0)
        case "step.refused":
            return replace(leg, phase="refused")
        case "step.failed":
            return replace(leg, phase="resting" if rests else "due", failures=leg.failures + 1)
        case "step.expired":
            return replace(leg, phase="due")
        case "step.given_up" if leg.phase == "due":
            known = leg.failures >= leg.tries or step.silence == "failed"
            return replace(leg, phase="failed" if known else "unknown")
        case "undo.asked":
            return replace(leg, phase="undoing", undo_tries=leg.undo_tries + 1)
        case "undo.done":
            return replace(leg, phase="done" if leg.again else "undone", again=False, undo_tries=0)
        case "undo.failed" | "undo.refused":
            return replace(leg, phase="undo_resting" if rests else "undo_due")
        case "undo.expired":
            return replace(leg, phase="undo_due")
    return replace(leg, phase="stuck")
