"""A change of schema on its way into a fleet: producers and consumers are upgraded one by one while events flow.

``roll_out(old, new, "consumers first")`` runs it in the simulator. Every consumer reads each event through a registry,
as the version that it runs at that moment; what it cannot read it puts aside, and that is counted. ``roll_out_all``
does it for many changes under many modes, where a mode refuses a change that breaks it before anything is upgraded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import BaseModel, create_model

from evsim.chance import on_grid
from evsim.errors import BadEvent, BadScenario, UnknownName, did_you_mean, shown
from evsim.lab.run import Run
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.patterns.handler import Reject
from evsim.schema import Problem, Registry, Verdict, compatible, reads, takes
from evsim.schema.samples import samples
from evsim.schema.shapes import shape_of
from evsim.schema.upcasting import Upcaster
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher
from evsim.view.figure import Figure
from evsim.view.plots.rollout import Cells, Lane, rollout_lanes, rollout_map
from evsim.view.words import count, grouped

Order = Literal["producers first", "consumers first", "together"]
ORDERS: tuple[str, ...] = get_args(Order)
RATE_MIN, RATE_MAX = 0.001, 1000.0
"""Events a second of one producer: a rollout is about versions, not about load."""
TYPE, NEWCOMER = "order.placed", "newcomer"
Model = type[BaseModel]


def _order(**fields: Any) -> Model:
    whole: Any = {name: each if isinstance(each, tuple) else (each, ...) for name, each in fields.items()}
    model: Model = create_model("OrderPlaced", **whole)
    return model


CHANGES: Mapping[str, tuple[Model, Model]] = {
    "add an optional field": (_order(customer=str), _order(customer=str, note=(str, ""))),
    "add a needed field": (_order(customer=str), _order(customer=str, currency=str)),
    "remove a needed field": (_order(customer=str, fax=str), _order(customer=str)),
    "widen int to float": (_order(customer=str, amount=int), _order(customer=str, amount=float)),
    "remove a choice": (
        _order(customer=str, speed=Literal["normal", "express"]), _order(customer=str, speed=Literal["normal"])
    ),
    "rename a field": (_order(customer=str), _order(buyer=str)),
}  # fmt: skip
"""Six changes of one payload, each as the old and the new model."""


@dataclass(frozen=True)
class Plan:
    """When each instance gets the new version: ``producers`` and ``consumers`` one by one, ``every_s``.

    The second side begins ``settle_s`` after the last of the first side, so that what is in the log is read by then.
    """

    order: str = "consumers first"
    producers: int = 3
    consumers: int = 3
    start_s: float = 10.0
    every_s: float = 4.0
    settle_s: float = 10.0
    end_s: float = 60.0

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise UnknownName(f"no order of rolling out is called {self.order!r}{did_you_mean(self.order, ORDERS)}")
        sizes = (self.producers, self.consumers)
        if not all(type(size) is int and 1 <= size <= 20 for size in sizes):
            raise BadScenario(f"a fleet has 1 to 20 producers and consumers, not {' and '.join(map(shown, sizes))}")
        for name in ("start_s", "every_s", "settle_s", "end_s"):
            _check_number(name, getattr(self, name))
        if min(self.start_s, self.every_s, self.settle_s) < 0 or self.last_s >= self.end_s:
            raise BadScenario(
                f"the last upgrade is at {self.last_s:g} s and the run ends at {self.end_s:g} s; give a later end_s"
            )

    @classmethod
    def of(cls, order: str, settings: Mapping[str, Any]) -> Plan:
        """The plan with these settings, or UnknownName for one that it does not have."""
        known = [each.name for each in fields(cls)][1:]
        for name in settings:
            if name not in known:
                raise UnknownName(f"no setting of a rollout is called {name!r}{did_you_mean(name, known)}")
        return cls(order, **settings)

    def upgrade_s(self, side: str, number: int) -> float:
        """When this instance (from 0 on) of the ``producers`` or ``consumers`` gets the new version."""
        begin = self.start_s
        if self.order != "together" and not self.order.startswith(side):
            first = self.consumers if side == "producers" else self.producers
            begin += (first - 1) * self.every_s + self.settle_s
        return on_grid(begin + number * self.every_s)

    @property
    def last_s(self) -> float:
        """When the last instance gets it."""
        sides = (("producers", self.producers), ("consumers", self.consumers))
        return max(self.upgrade_s(side, many - 1) for side, many in sides)


def _check_number(name: str, given: Any) -> None:
    """Refuse what is no finite number."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise BadScenario(f"{name}={shown(given)} is no number; give a finite one, such as 5.0")


@dataclass(frozen=True)
class Rollout:
    """What came of it: how often which version was read by which, and how often that failed."""

    plan: Plan
    verdict: Verdict
    reads: Mapping[tuple[int, int], int]
    """How often an event of one version was read by a consumer of another: ``{(written, reader): times}``."""
    failures: Mapping[tuple[int, int], int]
    """How often that failed."""
    predicted: int | None
    """How often it would fail, by the verdict alone; None where it proves neither yes nor no."""
    run: Run
    newcomer_s: float | None = None

    @property
    def failed(self) -> int:
        """How many reads failed."""
        return sum(self.failures.values())

    @cached_property
    def lanes(self) -> tuple[Lane, ...]:
        """Every instance, when it was upgraded, and when it failed to read."""
        found = []
        for side, many in (("producers", self.plan.producers), ("consumers", self.plan.consumers)):
            for number in range(many):
                name = _shop(number) if side == "producers" else _member(number, many)
                found.append(Lane(name, self.plan.upgrade_s(side, number), self._failures_of(name)))
        if self.newcomer_s is not None:
            found.append(Lane(NEWCOMER, self.newcomer_s, self._failures_of(NEWCOMER), self.newcomer_s))
        return tuple(found)

    def _failures_of(self, name: str) -> tuple[float, ...]:
        """When this instance failed to read."""
        if not any(what.step == "failed" and what.node == name for what in self.run.history.whats):
            return ()
        return tuple(self.run.history.of("failed", node=name).time.tolist())

    def figure(self) -> Figure:
        """The fleet over time: who ran which version, and each read that failed."""
        return rollout_lanes(self.lanes, self.plan.end_s, self.plan.order, sum(self.reads.values()))

    def __repr__(self) -> str:
        foretold = (
            "not to be known from the verdict" if self.predicted is None else f"the verdict says {self.predicted}"
        )
        agreed = "as the verdict says" if self.failed == self.predicted else foretold
        many = count(sum(self.reads.values()), "read")
        lines = [f"{self.plan.order}: {grouped(self.failed)} of {many} failed, {agreed}"]
        for (written, reader), times in sorted(self.reads.items()):
            failed = self.failures.get((written, reader), 0)
            lines.append(f"  version {written} read by version {reader}: {grouped(times)}, {grouped(failed)} failed")
        return "\n".join(lines)


def roll_out(
    old: Model,
    new: Model,
    order: str = "consumers first",
    *,
    upcast: Upcaster | None = None,
    newcomer_s: float | None = None,
    seed: int = 7,
    rate: float = 5.0,
    **plan: Any,
) -> Rollout:
    """Roll a new version out, each producer writing ``rate`` events a second; ``plan`` as in ``Plan``.

    Every payload is one that would tell: where a verdict has a failing example, that is what is written. ``upcast``
    brings old payloads up for consumers of the new version. With ``newcomer_s`` a consumer of the new version comes at
    that time and reads the log from its beginning.
    """
    scheme = Plan.of(order, plan)
    _check_number("rate", rate)
    if not RATE_MIN <= rate <= RATE_MAX:
        raise BadScenario(f"rate={shown(rate)} is refused; give {RATE_MIN:g} to {RATE_MAX:g} events a second")
    registry = Registry("none")
    registry.register(TYPE, 1, old)
    if upcast is not None:
        registry.upcast(TYPE, 1, upcast)
    registry.register(TYPE, 2, new)
    scenario = _scenario(registry, scheme, rate, newcomer_s)
    run = scenario.run(until_s=scheme.end_s, seed=seed, progress=False)
    seen, failures = _counted(run)
    verdict = compatible(old, new, "full")
    predicted = _predicted(seen, _doubted(verdict, mended=upcast is not None))
    return Rollout(scheme, verdict, dict(seen), dict(failures), predicted, run, newcomer_s)


def _doubted(verdict: Verdict, *, mended: bool) -> dict[tuple[int, int], tuple[Problem, ...]]:
    """What the verdict says against each pair (written, reader)."""
    return {(1, 2): () if mended else verdict.backward, (2, 1): verdict.forward}


def _predicted(
    seen: Mapping[tuple[int, int], int], doubted: Mapping[tuple[int, int], tuple[Problem, ...]]
) -> int | None:
    """How often it fails when what is proved to fail is what is written; None where nothing is proved."""
    doubts = {pair: problems for pair, problems in doubted.items() if problems and seen.get(pair)}
    if not all(any(each.proven for each in problems) for problems in doubts.values()):
        return None
    return sum(seen[pair] for pair in doubts)


def _payload(writer: Model, reader: Model) -> Any:
    """What the writer writes: something that the reader refuses, if a verdict knows it."""
    telling = [problem.example for problem in reads(writer, reader) if problem.proven]
    plain = [payload for payload in samples(shape_of(writer))[::-1] if takes(writer, payload)]
    found = next(iter([*telling, *plain]), None)
    if found is None:
        raise BadScenario(
            f"no payload of {writer.__name__} is known, so there is nothing to publish; give its fields plainer types"
        )
    return found


def _shop(number: int) -> str:
    return f"shop {'abcdefghijklmnopqrst'[number]}"


def _member(number: int, many: int) -> str:
    return "billing" if many == 1 else f"billing-{number + 1}"


def _scenario(registry: Registry, plan: Plan, rate: float, newcomer_s: float | None) -> Scenario:
    old, new = registry.model(TYPE, 1), registry.model(TYPE, 2)
    parts: list[Any] = []
    for number in range(plan.producers):
        at_s, name = plan.upgrade_s("producers", number), _shop(number)
        gap = Constant(on_grid(1 / rate))
        before = max(1, int(at_s * rate))
        parts += [
            Publisher(name, to="orders", gap_s=gap, count=before, data=_payload(old, new)),
            Publisher(f"{name} anew", to="orders", gap_s=gap, starts_at_s=at_s, version=2, data=_payload(new, old)),
        ]
    runs = {_member(number, plan.consumers): plan.upgrade_s("consumers", number) for number in range(plan.consumers)}
    handler = _decoder(registry, lambda node, now: 1 + (now >= runs[node]))
    parts += [
        Log("orders", partitions=plan.consumers),
        Consumer("billing", of="orders", members=plan.consumers, on={TYPE: handler}, dead_letter="unread"),
        Log("unread"),
    ]
    if newcomer_s is not None:
        fresh = _decoder(registry, lambda node, now: 2)
        parts.append(Consumer(NEWCOMER, of="orders", on={TYPE: fresh}, dead_letter="unread", joins_at_s=newcomer_s,
                              auto_offset_reset="earliest"))  # fmt: skip
    return Scenario(*parts, name=f"rollout, {plan.order}")


def _decoder(registry: Registry, version_at: Callable[[str, float], int]) -> Callable[..., None]:
    """A handler that reads the event as the version that this node runs now, and puts aside what it cannot read."""

    def decode(event: Any, ctx: Any) -> None:
        version = version_at(ctx.node, ctx.now)
        ctx.effect("read", written=event.version, reader=version)
        try:
            registry.read(event, version=version)
        except BadEvent as problem:
            ctx.effect("failed to read", written=event.version, reader=version)
            raise Reject(str(problem)) from problem

    return decode


def _counted(run: Run) -> tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]]:
    history = run.history
    counts: tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]] = (Counter(), Counter())
    for found, place in zip(counts, ("read", "failed to read"), strict=True):
        if any(what.place == place for what in history.whats):
            notes = (history.notes[number] for number in history.of("effect", place=place).number.tolist())
            found.update((note["written"], note["reader"]) for note in notes)
    return counts


# ---------------------------------------------------------------- many changes under many modes


@dataclass(frozen=True)
class Rollouts:
    """How many reads failed for each change, mode and order; None where the mode refused the change."""

    failures: Cells
    predicted: Cells

    def figure(self) -> Figure:
        """The heat map."""
        return rollout_map(self.failures)

    def __repr__(self) -> str:
        return self.figure().caption


def roll_out_all(
    changes: Mapping[str, tuple[Model, Model]] = CHANGES,
    modes: Sequence[str] = ("backward", "forward", "full"),
    orders: Sequence[str] = ("consumers first", "producers first"),
    *,
    seed: int = 7,
    **plan: Any,
) -> Rollouts:
    """Roll every change out in every order, where the mode lets it."""
    failures: dict[tuple[str, str, str], int | None] = {}
    predicted: dict[tuple[str, str, str], int | None] = {}
    for name, (old, new) in changes.items():
        done = {order: roll_out(old, new, order, seed=seed, **plan) for order in orders}
        for mode in modes:
            passes = compatible(old, new, mode).ok
            for order, rolled in done.items():
                failures[name, mode, order] = rolled.failed if passes else None
                predicted[name, mode, order] = rolled.predicted if passes else None
    return Rollouts(failures, predicted)
