"""A step of a saga: the command that asks for it, the one that undoes it, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from evsim.kinds import ACTIONS, kind_of
from evsim.value import Value


class Step(Value):
    """One step: ``Step("charge.card", undo="refund.card", timeout_s=5, retries=2)``.

    ``do`` is the command that asks for it and ``undo`` the one that compensates. When no answer comes for ``timeout_s``
    (None: wait for ever), or the answer is a failure, it is asked again, at most ``retries`` times, after ``wait_s``
    when it failed; ``undo_retries`` is the same for the undo, and whoever fails them all is left to a human. After a
    step that is the ``pivot`` the saga does not turn back: later steps are asked until they are done. ``silence`` is
    what a step that never answered is taken for: ``"unknown"``, or ``"failed"``, the classic mistake. The answers
    are ``done`` and ``undone`` (``card.charged``, ``card.refunded`` unless given), and ``charge-card.refused``,
    ``charge-card.failed`` and ``charge-card.answered`` (with ``{"answer": "done"}``, for who is asked twice).
    """

    do: str
    undo: str | None = None
    timeout_s: float | None = Field(None, gt=0)
    retries: int = Field(0, ge=0)
    undo_retries: int = Field(2, ge=0)
    wait_s: float = Field(0.0, ge=0)
    pivot: bool = False
    silence: Literal["unknown", "failed"] = "unknown"
    done: str | None = None
    undone: str | None = None
    kind: Literal["step"] = "step"

    @property
    def done_type(self) -> str:
        """The fact that says that it is done."""
        return self.done or fact_of(self.do)

    @property
    def undone_type(self) -> str:
        """The fact that says that it is undone."""
        return self.undone or fact_of(self.undo or self.do)

    def problems(self) -> Iterator[str]:
        """What is wrong with this step."""
        for command in filter(None, (self.do, self.undo)):
            if len(command.split(".")) != 2 or kind_or_none(command) != "command":
                yield f"{command!r} is no command; expected verb.noun, such as 'charge.card'"
        for fact in filter(None, (self.done, self.undone)):
            if kind_or_none(fact) not in {"domain", "integration"}:
                yield f"{fact!r} is no fact; expected noun.participle, such as 'card.charged'"


def kind_or_none(event_type: str) -> str | None:
    """The kind of an event of this type, None when no event may have it."""
    try:
        return kind_of(event_type)
    except ValueError:
        return None


def fact_of(command: str) -> str:
    """The fact that a command leads to: ``card.charged`` of ``charge.card``."""
    verb, _, noun = command.partition(".")
    return f"{noun}.{ACTIONS.get(verb) or (f'{verb}d' if verb.endswith('e') else f'{verb}ed')}"


def answer_type(command: str, how: str) -> str:
    """``charge-card.refused`` of ``charge.card``: what is said about one command and no other."""
    return f"{command.replace('.', '-')}.{how}"
