"""Those who take part in a saga: plain handlers for a step and its undo, and the same ones told by events alone.

A participant does a step once for each key, remembers its answer, and repeats it to whoever asks again. Who was told
to undo what it never did remembers that too: should the command come later, it is refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from evsim.event import Event
from evsim.patterns.handler import Context
from evsim.patterns.saga import Plan, Step, answer_type

Handler = Callable[[Event, Any], Any]
Act = Callable[[Event, Context], Mapping[str, Any] | str | None]
"""What a step really does. It gives what others should know, or nothing; or a word, why it is refused."""


class TryAgain(str):
    """What an act answers when it cannot be done now, and may be later: the step has failed, and nothing was done."""

    __slots__ = ()


def luck(event: Event, *about: Any) -> float:
    """A number in [0, 1) that is the same for the same customer: from the ``luck`` of the order, and what it is about.

    Two variants of a system that meet the same customers meet the same luck, whoever handles them and when.
    """
    text = "/".join(map(str, (event.data.get("luck", event.key), *about)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()[:7]) / 2**56


def participant(
    step: Step, *, refuses: float = 0.0, fails: float = 0.0, undo_fails: float = 0.0, mute: float = 0.0,
    act: Act | None = None, undo_act: Act | None = None,
) -> dict[str, Handler]:  # fmt: skip
    """The handlers of one who does ``step``: ``Consumer("stock", of="bus", on=participant(step, refuses=0.02))``.

    ``refuses`` is the share of keys for which the answer is no, ``fails`` and ``undo_fails`` the share of attempts that
    fail without having done anything, ``mute`` the share of answers that are never sent although the work was done.
    ``act`` and ``undo_act`` are called when it is really done.
    """
    name = step.do

    def answer(event: Event, ctx: Context, type_: str, **more: Any) -> None:
        if luck(event, name, "mute", type_, ctx.attempt, event.data.get("try", 1)) >= mute:
            ctx.emit(type_, {**event.data, **more})

    def do(event: Event, ctx: Context) -> None:
        spot = f"{name}/{event.key}"
        known = ctx.state.get(spot)
        if isinstance(known, str):
            answer(event, ctx, answer_type(name, "refused"))
        elif known is not None:
            answer(event, ctx, answer_type(name, "answered"), **{**known, "answer": "done"})
        elif luck(event, name, "fails", event.data.get("try", 1)) < fails:
            answer(event, ctx, answer_type(name, "failed"))
        else:
            found = "chance" if luck(event, name, "refuses") < refuses else act(event, ctx) if act else None
            if isinstance(found, TryAgain):
                answer(event, ctx, answer_type(name, "failed"), why=str(found))
            elif isinstance(found, str):
                ctx.state[spot] = "refused"
                answer(event, ctx, answer_type(name, "refused"), why=found)
            else:
                ctx.state[spot] = dict(found or {})
                answer(event, ctx, step.done_type, **(found or {}))

    def undo(event: Event, ctx: Context) -> None:
        spot, command = f"{name}/{event.key}", str(step.undo)
        known = ctx.state.get(spot)
        if isinstance(known, str) or known is None:
            ctx.state[spot] = known or "undone"
            answer(event, ctx, answer_type(command, "answered"), answer="done")
        elif luck(event, command, "fails", event.data.get("try", 1)) < undo_fails:
            answer(event, ctx, answer_type(command, "failed"))
        else:
            ctx.state[spot] = "undone"
            if undo_act:
                undo_act(event, ctx)
            answer(event, ctx, step.undone_type)

    handlers: dict[str, Handler] = {name: do}
    if step.undo:
        handlers[step.undo] = undo
    for command, handler in handlers.items():
        handler.__name__ = command.replace(".", "_")
    return handlers


# -------------------------------------------------------------------- the choreographed twin


class Reaction(NamedTuple):
    """Who does a step, told by events: it does the command when it has heard one of each of these groups of events."""

    command: str
    hears: tuple[tuple[str, ...], ...]


def reactions(plan: Plan) -> dict[str, tuple[Reaction, ...]]:
    """The table of each step's participant, derived from the plan: what it does, upon which events.

    A step is done when the stage before it is done, and undone when the saga has turned back and all behind it that
    had to be undone is undone. Nobody sees the whole.
    """
    found: dict[str, tuple[Reaction, ...]] = {}
    ready: tuple[tuple[str, ...], ...] = ((plan.starts_on,),)
    for number, stage in enumerate(plan.stages):
        for step in stage:
            table = [Reaction(step.do, ready)]
            if step.undo:
                siblings = [other for other in stage if other is not step]
                refused = tuple(answer_type(other.do, "refused") for other in siblings)
                table.append(Reaction(step.undo, _undone_behind(plan, number, refused)))
            found[step.do] = tuple(table)
        ready = tuple((step.done_type,) for step in stage)
    return found


def _undone_behind(plan: Plan, number: int, refused_beside: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The events that say: all that lies behind this stage is undone, or was never done."""
    if _behind_the_pivot(plan, number):
        return ()
    for place, stage in enumerate(plan.stages[number + 1 :], start=number + 1):
        if _behind_the_pivot(plan, place):
            break
        refused = [answer_type(step.do, "refused") for step in stage]
        if not any(step.undo for step in stage):
            refused_beside += tuple(refused)
            continue
        groups = [
            (answer_type(step.do, "refused"), step.undone_type, answer_type(step.undo, "answered"))
            for step in stage
            if step.undo
        ]
        return tuple((*group, *refused_beside) for group in groups)
    return (refused_beside,) if refused_beside else ()


def _behind_the_pivot(plan: Plan, number: int) -> bool:
    """Whether a stage lies behind the point of no return: it is never undone, and never the reason for an undo."""
    return any(step.pivot for stage in plan.stages[:number] for step in stage)


def choreographed(plan: Plan, step: Step, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """The same handlers, called upon what others say: no command is sent, and a failure is tried again at home."""
    on: dict[str, Handler] = {}
    for reaction in reactions(plan)[step.do]:
        for event_type in dict.fromkeys(each for group in reaction.hears for each in group):
            on[event_type] = _joined(reaction, handlers[reaction.command])
    behind = _behind_the_pivot(plan, next(n for n, stage in enumerate(plan.stages) if step in stage))
    for command, retries in ((step.do, math.inf if behind else step.retries), (step.undo, step.undo_retries)):
        if command is not None:
            on[answer_type(command, "failed")] = _again(command, handlers[command], retries)
    return on


def _joined(reaction: Reaction, handler: Handler) -> Handler:
    """A handler that waits until it has heard one event of each group."""

    def hear(event: Event, ctx: Context) -> None:
        if len(reaction.hears) > 1:
            spot = f"heard {reaction.command}/{event.key}"
            heard = {*ctx.state.get(spot, ()), *(n for n, group in enumerate(reaction.hears) if event.type in group)}
            ctx.state[spot] = sorted(heard)
            if len(heard) < len(reaction.hears):
                return
        handler(_first_try(event), ctx)

    return hear


def _first_try(event: Event) -> Event:
    """What an earlier step had to try again counts for that step only."""
    return _with_data(event, {name: value for name, value in event.data.items() if name not in {"try", "answer"}})


def _again(command: str, handler: Handler, retries: float) -> Handler:
    def again(event: Event, ctx: Context) -> None:
        tries = event.data.get("try", 1)
        if tries > retries:
            ctx.emit(answer_type(command, "refused"), {**event.data, "why": "failed"})
        else:
            handler(_with_data(event, {**event.data, "try": tries + 1}), ctx)

    return again


def _with_data(event: Event, data: Mapping[str, Any]) -> Event:
    return Event(
        event.id, event.type, event.timestamp, event.source, data, version=event.version, key=event.key,
        correlation_id=event.correlation_id, causation_id=event.causation_id,
    )  # fmt: skip
