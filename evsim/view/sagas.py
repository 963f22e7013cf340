"""What became of each saga: its steps and undos with their times, told by the same machine that decided them.

A history holds what each saga was told and when; the plan stands in its parts. So the decisions can be made again, also
from a saved file. Of the choreographed style, where nobody decides, the facts that were published are all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from evsim.errors import UnknownName, did_you_mean
from evsim.history import History
from evsim.patterns.saga import Fact, Plan, State, answer_type
from evsim.view.verdict import Verdict, joined, others

How = Literal["done", "refused", "failed", "expired", "open"]


@dataclass
class Span:
    """One attempt of a step or of its undo, from when it was asked to when one knew how it went."""

    step: int
    undo: bool
    number: int
    start_s: float
    end_s: float | None = None
    how: How = "open"


@dataclass
class Track:
    """The life of one saga."""

    key: str
    plan: Plan
    state: State
    began_s: float
    last_s: float
    spans: list[Span] = field(default_factory=list)
    turned_s: float | None = None
    ended_s: float | None = None
    late: list[int] = field(default_factory=list)

    @property
    def status(self) -> str:
        """Pending, cancelling, completed, cancelled or stuck."""
        return self.state.status

    def held(self, step: int) -> list[tuple[float, float | None]]:
        """From when to when others could see this step done."""
        found: list[tuple[float, float | None]] = []
        for span in sorted((each for each in self.spans if each.end_s is not None), key=lambda each: each.end_s or 0.0):
            if span.step != step or span.how != "done":
                continue
            if not span.undo:
                found.append((span.end_s or 0.0, None))
            elif found and found[-1][1] is None:
                found[-1] = (found[-1][0], span.end_s)
        return found

    @property
    def waits_for(self) -> str:
        """What this saga waits for, in words."""
        waiting = [
            str(step.undo) if leg.phase.startswith("undo") else step.do
            for step, leg in zip(self.plan.flat, self.state.legs, strict=True)
            if leg.phase in {"asked", "resting", "due", "undoing", "undo_resting", "undo_due"}
        ]
        by_hand = [
            step.undo if self.state.turned and step.undo else step.do
            for step, leg in zip(self.plan.flat, self.state.legs, strict=True)
            if leg.phase == "stuck"
        ]
        if by_hand:
            return f"a human: {joined(by_hand)}"
        return joined(waiting or self._next or ["the next event"])

    @property
    def _next(self) -> list[str]:
        """What should come next, when nobody says what he waits for."""
        stages = [[(self.plan.flat[n], self.state.legs[n]) for n in stage] for stage in self.plan.places]
        if self.state.turned:
            done = [[step.undo for step, leg in stage if leg.phase == "done" and step.undo] for stage in stages]
            return next((undos for undos in reversed(done) if undos), [])
        todo = [[step.do for step, leg in stage if leg.phase != "done"] for stage in stages]
        return next((commands for commands in todo if commands), [])


def tracks(
    history: History, saga: str | None = None, plan: Plan | None = None, at_s: float | None = None
) -> list[Track]:
    """All sagas of a history as they stood at ``at_s`` (None: at the end), in the order in which they began.

    ``plan`` is needed for the choreographed style, in which nobody has the whole.
    """
    known = {name: part["saga"] for name, part in history.parts.items() if isinstance(part.get("saga"), Mapping)}
    if plan is not None:
        return _danced(history, plan, at_s)
    if not known or (saga is not None and saga not in known):
        what = f"no saga called {saga!r}" if saga is not None else "no saga"
        hint = did_you_mean(saga or "", known) if known else "; of a choreographed one, give its plan="
        raise UnknownName(f"{what} is in this history{hint}")
    found: list[Track] = []
    for name, said in known.items():
        if saga in {None, name}:
            found += _conducted(history, name, Plan(said["starts_on"], _steps(said["steps"])), at_s)
    return found


def _steps(said: Iterable[Any]) -> Any:
    return tuple(_steps(each) if isinstance(each, list | tuple) else each for each in said)


def _conducted(history: History, name: str, plan: Plan, at_s: float | None) -> list[Track]:
    """The decisions, made again in the order in which they were saved."""
    found: dict[str, Track] = {}
    if not any(what.step == "saved" for what in history.whats):
        return []
    rows = history.of("saved", node=name, to_s=at_s)
    for now, index in zip(rows.time.tolist(), rows.event.tolist(), strict=True):
        event = history.event_at(index)
        key = str(event.key if event.key is not None else event.correlation_id or event.id)
        track = found.get(key)
        decision = plan.react(track.state if track else plan.start, event.type, event.data)
        if not decision.facts:
            continue
        if track is None:
            track = found[key] = Track(key, plan, plan.start, now, now)
        for fact in decision.facts:
            _note(track, fact, now)
        track.state, track.last_s = decision.state, now
    return list(found.values())


def _note(track: Track, fact: Fact, now: float) -> None:
    about, _, what = fact.type.partition(".")
    if about == "saga":
        if what == "turned":
            track.turned_s = now
        elif what != "begun":
            track.ended_s = now
        return
    step, undo = fact.data["step"], about == "undo"
    mine = [span for span in track.spans if (span.step, span.undo) == (step, undo)]
    if what == "asked":
        track.spans.append(Span(step, undo, len(mine) + 1, now))
    elif mine and what != "given_up":
        span = mine[-1]
        if span.end_s is None:
            span.end_s, span.how = now, what  # type: ignore[assignment]
        elif what == "done" and span.how == "expired":  # it was done after all, and we learn it late
            track.late.append(step)
            track.spans.append(Span(step, undo, span.number, now, now, "done"))


def _danced(history: History, plan: Plan, at_s: float | None) -> list[Track]:
    """What was published of each saga, for want of anybody who has decided."""
    found: dict[str, Track] = {}
    done = {step.done_type: (n, False) for n, step in enumerate(plan.flat)}
    done |= {step.undone_type: (n, True) for n, step in enumerate(plan.flat) if step.undo}
    refused = {answer_type(step.do, "refused"): n for n, step in enumerate(plan.flat)}
    rows = history.of("published", to_s=at_s)
    for now, index in zip(rows.time.tolist(), rows.event.tolist(), strict=True):
        type_, key = history.type_of(index), history.key_of(index) or history.id_of(index)
        track = found.get(key)
        if track is None:
            if type_ == plan.starts_on:
                began = plan.rebuild([Fact("saga.begun", {"data": {}})])
                found[key] = Track(key, plan, began, now, now)
            continue
        if type_ in refused:
            track.turned_s = now if track.turned_s is None else track.turned_s
            track.spans.append(Span(refused[type_], False, 1, track.last_s, now, "refused"))
            facts = [Fact("step.refused", {"step": refused[type_]})]
            facts += [] if track.state.turned else [Fact("saga.turned", {})]
        elif type_ in done:
            step, undo = done[type_]
            track.spans.append(Span(step, undo, 1, track.last_s, now, "done"))
            facts = [Fact("undo.done" if undo else "step.done", {"step": step})]
        else:
            continue
        track.state, track.last_s = plan.rebuild_from(track.state, facts), now
        ended = _ended(track)
        if ended is not None:
            track.state, track.ended_s = plan.apply(track.state, Fact(f"saga.{ended}", {})), now
    return list(found.values())


def _ended(track: Track) -> str | None:
    legs = list(zip(track.plan.flat, track.state.legs, strict=True))
    if all(leg.phase == "done" for _, leg in legs):
        return "completed"
    turned = track.state.turned and not any(leg.phase == "done" and step.undo for step, leg in legs)
    return "compensated" if turned else None


def waiting_keys(history: History) -> set[str]:
    """The keys of the sagas that will wake up by themselves, for a timer of theirs is running."""
    if not any(isinstance(part.get("saga"), Mapping) for part in history.parts.values()):
        return set()
    return {track.key for track in tracks(history) if track.plan.waiting(track.state)}


# -------------------------------------------------------------------- those that get nowhere


@dataclass(frozen=True)
class Stuck:
    """A saga that gets nowhere: since when, after which steps, and what it waits for."""

    key: str
    since_s: float
    done: tuple[str, ...]
    waits_for: str

    def __str__(self) -> str:
        after = f"after {joined(self.done)}" if self.done else "before its first step"
        return f"{self.key} has been silent since {self.since_s:.3f} s, {after}; it waits for {self.waits_for}"


def stuck_sagas(
    history: History, silent_s: float, *, at_s: float | None = None, saga: str | None = None, plan: Plan | None = None
) -> list[Stuck]:
    """The sagas that had begun by ``at_s`` (None: the end), not ended, and been silent for at least ``silent_s``."""
    now = float(history.time[-1]) if at_s is None and len(history) else at_s or 0.0
    found = []
    for track in tracks(history, saga, plan, at_s):
        over = track.ended_s is not None and track.status != "stuck"
        if over or (now - track.last_s < silent_s and track.status != "stuck"):
            continue
        held = [(step, track.held(n)) for n, step in enumerate(track.plan.flat)]
        done = tuple(step.done_type for step, spans in held if spans and spans[-1][1] is None)
        found.append(Stuck(track.key, track.last_s, done, track.waits_for))
    return found


@dataclass(frozen=True)
class NoStuck:
    """No saga is silent for as long as ``silent_s`` before it has ended, or is left to a human."""

    silent_s: float
    saga: str | None = None
    plan: Plan | None = None

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the saga that has been silent for longest."""
        name = f"no saga is silent for {self.silent_s:g} s before it ends"
        conducted = any(isinstance(part.get("saga"), Mapping) for part in history.parts.values())
        all_ = tracks(history, self.saga, self.plan) if conducted or self.plan is not None else []
        if not all_:
            return Verdict("unknown", name, ("no saga has begun",))
        stuck = stuck_sagas(history, self.silent_s, saga=self.saga, plan=self.plan)
        if not stuck:
            open_ = sum(track.ended_s is None for track in all_)
            more = (f"{open_} were under way when the run stopped",) if open_ else ()
            return Verdict("ok" if open_ < len(all_) else "unknown", name, more)
        first = min(stuck, key=lambda each: each.since_s)
        lines = (str(first), *others(len(stuck) - 1, "such saga"))
        return Verdict("VIOLATED", name, lines, first.key, (), (first.since_s,))


def no_stuck_sagas(silent_s: float, *, saga: str | None = None, plan: Plan | None = None) -> NoStuck:
    """No saga gets stuck: ``run.check(ev.no_stuck_sagas(30))``; a choreographed one needs its ``plan=``."""
    return NoStuck(silent_s, saga, plan)


# -------------------------------------------------------------------- numbers


@dataclass(frozen=True)
class SagaNumbers:
    """How the sagas of a run went."""

    begun: int
    completed: int
    compensated: int
    stuck: int
    compensations: float
    messages: float
    latency_s: float
    ended_mean_s: float

    def __repr__(self) -> str:
        return (
            f"{self.begun} sagas: {self.completed} completed, {self.compensated} compensated, {self.stuck} stuck; "
            f"{self.compensations:.4f} compensations and {self.messages:.2f} messages each; "
            f"the median ended after {self.latency_s:.3f} s"
        )


def saga_numbers(history: History, saga: str | None = None, plan: Plan | None = None) -> SagaNumbers:
    """Count the ends, and the compensations and messages for each saga; times are from the publishing of the start."""
    found = tracks(history, saga, plan)
    ended = [track for track in found if track.ended_s is not None]
    undone = sum(span.undo and span.how == "done" for track in found for span in track.spans)
    keys = {track.key for track in found}
    rows = history.of("published")
    began: dict[str, float] = {}
    messages = 0
    for event, time in zip(rows.event.tolist(), rows.time.tolist(), strict=True):
        key = history.key_of(event)
        if key in keys:
            began.setdefault(str(key), time)
            messages += 1
    lasted = [float(track.ended_s or 0.0) - began[track.key] for track in ended if track.key in began]
    n = len(found)
    outcomes = [track.status for track in found]
    return SagaNumbers(
        n, outcomes.count("completed"), outcomes.count("cancelled"), outcomes.count("stuck"),
        undone / n if n else 0.0, messages / n if n else 0.0,
        float(np.median(lasted)) if lasted else float("nan"), float(np.mean(lasted)) if lasted else float("nan"),
    )  # fmt: skip
