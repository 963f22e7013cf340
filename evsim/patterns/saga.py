"""A saga: steps with an undo, decided by a pure machine that is told events and answers with what to send.

State is a fold over facts, so that it can be kept as events and rebuilt. A step is *done*, *refused* (a business no: it
is final, nothing has happened), *failed* (nothing has happened, trying again may help), or silent: after a timeout
nobody knows, so that it is asked again, or undone for all cases. H. Garcia-Molina and K. Salem, "Sagas", 1987; pivot
and retriable steps as in C. Richardson, *Microservices Patterns*, ch. 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from evsim.patterns.saga_state import (
    NEWS,
    OPEN,
    Decision,
    Fact,
    Leg,
    Send,
    State,
    Timer,
    is_news,
    learnt_from,
    moved,
)
from evsim.patterns.saga_step import Step, answer_type, fact_of, kind_or_none
from evsim.value import Value

__all__ = [
    "NEWS",
    "Decision",
    "Fact",
    "Leg",
    "Plan",
    "Send",
    "Stage",
    "State",
    "Step",
    "Timer",
    "answer_type",
    "fact_of",
]

Stage = Step | tuple[Step, ...]


class Plan(Value):
    """The definition of a saga, for both styles: what begins it and its steps; those in an inner tuple go at once."""

    starts_on: str
    steps: tuple[Stage, ...]
    kind: Literal["plan"] = "plan"

    # ---------------------------------------------------------------- what it consists of

    @cached_property
    def stages(self) -> tuple[tuple[Step, ...], ...]:
        """The steps in order; those of one stage go at the same time."""
        return tuple(stage if isinstance(stage, tuple) else (stage,) for stage in self.steps)

    @cached_property
    def flat(self) -> tuple[Step, ...]:
        """All steps, one after the other."""
        return tuple(step for stage in self.stages for step in stage)

    @cached_property
    def places(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of the steps of each stage."""
        ends = [0]
        for stage in self.stages:
            ends.append(ends[-1] + len(stage))
        return tuple(tuple(range(a, b)) for a, b in pairwise(ends))

    @cached_property
    def noun(self) -> str:
        """What the saga is about: ``order`` of ``order.placed`` and of ``place.order``."""
        words = self.starts_on.split(".")
        return words[-1] if kind_or_none(self.starts_on) == "command" else words[-2]

    def news(self, outcome: str) -> str:
        """The type of event that tells of an end."""
        return f"{self.noun}.{NEWS[outcome]}"

    @cached_property
    def readings(self) -> Mapping[str, tuple[int, bool, str]]:
        """What each type of event says: about which step, whether about its undo, and what."""
        found: dict[str, tuple[int, bool, str]] = {}
        for number, step in enumerate(self.flat):
            for undo, command, fact in ((False, step.do, step.done_type), (True, step.undo, step.undone_type)):
                if command is not None:
                    found[fact] = (number, undo, "done")
                    for how in ("refused", "failed", "expired", "answered"):
                        found[answer_type(command, how)] = (number, undo, how)
        return found

    @property
    def types(self) -> tuple[str, ...]:
        """All that the saga listens to."""
        return (self.starts_on, *self.readings)

    def problems(self) -> Iterator[str]:
        """What is wrong with this plan, a sentence each."""
        if not self.flat:
            yield "a saga needs a step at least, such as Step('charge.card', undo='refund.card')"
        if kind_or_none(self.starts_on) is None:
            yield f"starts_on={self.starts_on!r} is no type of event; expected one such as 'order.placed'"
        said: list[str] = []
        for step in self.flat:
            yield from step.problems()
            said += [step.do, step.done_type, *((step.undo, step.undone_type) if step.undo else ())]
        for twice in dict.fromkeys(each for each in said if said.count(each) > 1):
            yield f"{twice!r} means two things here; every command and every answer needs a name of its own (done=…)"
        for stage in self.stages:
            if len(stage) > 1 and any(step.pivot for step in stage):
                yield "a pivot goes alone, for nobody can turn back from it; take it out of the inner tuple"
        if sum(step.pivot for step in self.flat) > 1:
            yield "there are two pivots; the first is the point of no return, so leave out pivot=True at the others"

    # ---------------------------------------------------------------- the machine

    @property
    def start(self) -> State:
        """The state of a saga that nobody has heard of."""
        return State(tuple(Leg() for _ in self.flat))

    def react(self, state: State, type: str, data: Mapping[str, Any]) -> Decision:  # noqa: A002
        """What follows from an event. One that says nothing new leads to nothing."""
        facts = list(self._learnt(state, type, data))
        sends: list[Send] = []
        timers: list[Timer] = []
        for fact in facts:
            before, state = state, self.apply(state, fact)
            timers += self._rest(before, state, fact)
        while facts:
            move = self._next(state)
            if move is None:
                break
            facts.append(move)
            told, state = state.told, self.apply(state, move)
            sends += self._sends(state, move, told)
            if move.type.endswith(".asked"):
                timers += self._waits(state, move.data["step"])
        return Decision(state, tuple(facts), tuple(sends), tuple(timers))

    def rebuild(self, facts: Iterable[Fact | tuple[str, Mapping[str, Any]]]) -> State:
        """The state that these facts lead to."""
        return self.rebuild_from(self.start, facts)

    def rebuild_from(self, state: State, facts: Iterable[Fact | tuple[str, Mapping[str, Any]]]) -> State:
        """The state that these facts lead to from another one, such as a snapshot."""
        for type_, data in facts:
            state = self.apply(state, Fact(type_, data))
        return state

    def waiting(self, state: State) -> tuple[Timer, ...]:
        """The timers that should be running: what to set again after a crash."""
        return tuple(timer for number in range(len(state.legs)) for timer in self._waits(state, number))

    def _learnt(self, state: State, type_: str, data: Mapping[str, Any]) -> Iterator[Fact]:
        """The fact that an event is to a saga in this state, if it is any."""
        if type_ == self.starts_on and not state.begun:
            yield Fact("saga.begun", {"data": dict(data)})
        if type_ not in self.readings or not state.begun:
            return
        number, undo, said = self.readings[type_]
        said = str(data.get("answer")) if said == "answered" else said
        leg = state.legs[number]
        if is_news(leg, state.turned, undo, said, data.get("try")):
            more = learnt_from(data, state.data) if said == "done" and not undo else {}
            yield Fact(f"{'undo' if undo else 'step'}.{said}", {"step": number, **more})

    def apply(self, state: State, fact: Fact) -> State:
        """The state after a fact."""
        match fact.type:
            case "saga.begun":
                return replace(state, begun=True, data=fact.data["data"])
            case "saga.turned":
                legs = tuple(replace(leg, phase="unknown") if leg.phase in OPEN else leg for leg in state.legs)
                return replace(state, turned=True, legs=legs)
            case "saga.completed" | "saga.compensated" | "saga.stuck":
                outcome: Any = fact.type.removeprefix("saga.")
                return replace(state, outcome=outcome, told=state.told | {outcome})
        number = fact.data["step"]
        leg = moved(state.legs[number], fact.type, state.turned, self.flat[number])
        legs = (*state.legs[:number], leg, *state.legs[number + 1 :])
        learnt = fact.data.get("data")
        open_again = state.outcome is not None and leg.phase in {"done", "undone"}
        return replace(
            state, legs=legs, data={**state.data, **learnt} if learnt else state.data,
            outcome=None if open_again else state.outcome,
        )  # fmt: skip

    # ---------------------------------------------------------------- what comes next

    def _next(self, state: State) -> Fact | None:
        """The next thing that the saga does of itself, or None when it has to wait."""
        if not state.begun or state.outcome in {"completed", "compensated"}:
            return None
        return self._backward(state) if state.turned else self._forward(state)

    def _forward(self, state: State) -> Fact | None:
        passed = any(step.pivot and leg.phase == "done" for step, leg in zip(self.flat, state.legs, strict=True))
        for stage in self.places:
            for number in stage:
                fact = self._step_forward(state.legs[number], number, passed)
                if fact is not None:
                    return fact
            phases = {state.legs[number].phase for number in stage}
            if "stuck" in phases and phases <= {"stuck", "done"}:
                return None if state.outcome == "stuck" else Fact("saga.stuck", {})
            if phases != {"done"}:
                return None
        return Fact("saga.completed", {})

    def _step_forward(self, leg: Leg, number: int, passed: bool) -> Fact | None:
        if leg.phase == "idle" or (leg.phase == "due" and self._may_ask_again(leg, number, passed)):
            return Fact("step.asked", {"step": number})
        if leg.phase in {"refused", "due", "failed", "unknown"}:
            if passed:
                return Fact("step.given_up", {"step": number})
            return Fact("step.given_up" if leg.phase == "due" else "saga.turned", {"step": number})
        return None

    def _may_ask_again(self, leg: Leg, number: int, passed: bool) -> bool:
        """Within its retries; behind the pivot always; and who cannot be undone must be asked until one knows."""
        step, knows = self.flat[number], leg.failures >= leg.tries
        return passed or leg.tries <= step.retries or (step.pivot and step.undo is None and not knows)

    def _backward(self, state: State) -> Fact | None:
        for stage in reversed(self.places):
            waits = False
            for number in stage:
                leg, step = state.legs[number], self.flat[number]
                if leg.phase in {"done", "unknown"} and step.undo is not None:
                    return Fact("undo.asked", {"step": number})
                if leg.phase == "undo_due":
                    again = leg.undo_tries <= step.undo_retries
                    return Fact("undo.asked" if again else "undo.given_up", {"step": number})
                waits = waits or leg.phase in {"undoing", "undo_resting"}
            if waits:
                return None
        stuck = any(leg.phase == "stuck" for leg in state.legs)
        if stuck and state.outcome == "stuck":
            return None
        return Fact("saga.stuck" if stuck else "saga.compensated", {})

    def _sends(self, state: State, fact: Fact, told: frozenset[str]) -> Iterator[Send]:
        about, _, said = fact.type.partition(".")
        if about == "saga":
            if said in NEWS and said not in told:
                yield Send(self.news(said), state.data)
            return
        step, leg = self.flat[fact.data["step"]], state.legs[fact.data["step"]]
        command = (step.undo or "") if about == "undo" else step.do
        if said == "asked":
            yield Send(command, {**state.data, "try": leg.undo_tries if about == "undo" else leg.tries})
        elif leg.phase == "stuck":
            yield Send(answer_type(command, "given_up"), state.data, manual=True)

    def _waits(self, state: State, number: int) -> Iterator[Timer]:
        """The timer of a step that was asked, or that rests before it is asked again."""
        step, leg = self.flat[number], state.legs[number]
        undo = leg.phase in {"undoing", "undo_resting"}
        rests = leg.phase in {"resting", "undo_resting"}
        after_s = step.wait_s if rests else step.timeout_s if leg.phase in {"asked", "undoing"} else None
        if after_s is not None:
            command, tries = ((step.undo or ""), leg.undo_tries) if undo else (step.do, leg.tries)
            yield Timer(answer_type(command, "expired"), {"try": tries}, after_s, number, undo)

    def _rest(self, before: State, state: State, fact: Fact) -> Iterator[Timer]:
        if fact.type in {"step.failed", "undo.failed", "undo.refused"}:
            number = fact.data["step"]
            if before.legs[number].phase != state.legs[number].phase:
                yield from self._waits(state, number)
