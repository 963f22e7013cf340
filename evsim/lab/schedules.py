"""Schedules to try: what may go wrong in a scenario, one by one in order of size, or drawn by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, count
from typing import TYPE_CHECKING, Any

from evsim.chance import Chance
from evsim.errors import BadScenario, UnknownName, did_you_mean
from evsim.history import STEPS
from evsim.laws import Constant
from evsim.sim.clients import Clients
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Delay, Drop, Duplicate, Fault, Partition, Pause
from evsim.sim.part import BROKERS, SERVICES, SOURCES, STEPPING
from evsim.sim.publisher import Publisher

if TYPE_CHECKING:
    from evsim.lab.run import Run
    from evsim.lab.scenario import Scenario

FAULTS = ("crash", "crash_at", "pause", "drop", "duplicate", "delay", "partition")
"""The kinds of fault that a search injects: a crash after a named step, or at a time; and the others by their names."""

_DELIVERY = STEPS[2:]
_FAIL = {*STEPPING, *BROKERS, *SERVICES, "event_store"}
_DOWN_S = (1.0, 5.0, 60.0)
_SHARES = (1.0, 0.5, 0.1)


@dataclass(frozen=True)
class Case:
    """One schedule: a scenario with its faults, a seed, and the order of what is simultaneous (0: as it comes)."""

    scenario: Scenario
    seed: int
    until_s: float
    ties: int = 0

    def run(self) -> Run:
        """What comes of it."""
        run = self.scenario.start(self.seed, self.ties).run_until(self.until_s, progress=False).finish()
        if run.interrupted:
            raise KeyboardInterrupt
        return run

    @property
    def faults(self) -> list[Fault]:
        """What goes wrong in it."""
        return [part for part in self.scenario.parts if isinstance(part, Fault)]


def known(faults: tuple[str, ...]) -> tuple[str, ...]:
    """These kinds of fault, or UnknownName."""
    for kind in faults:
        if kind not in FAULTS:
            raise UnknownName(f"a search injects no fault called {kind!r}{did_you_mean(kind, FAULTS)}")
    return faults


# ---------------------------------------------------------------- every crash step, in order of size


def crash_points(scenario: Scenario, deliveries: int) -> list[Crash]:
    """Every crash after every step of the first ``deliveries`` of each part that takes some; the earliest first."""
    return [
        Crash(name, after=step, nth=nth, down_s=5.0)  # type: ignore[arg-type]
        for nth in range(1, deliveries + 1)
        for name in _takers(scenario)
        for step in _DELIVERY
    ]


def _takers(scenario: Scenario) -> list[str]:
    """Who takes deliveries step by step: consumers, and forwarders between brokers; a tap on an exchange does not."""
    parts: Mapping[str, Any] = scenario.named
    return [name for name, part in parts.items() if part.kind in STEPPING and parts[part.of].kind in SOURCES]


def systematic(scenario: Scenario, seed: int, until_s: float, deliveries: int, faults: int) -> Iterator[Case]:
    """No fault; then each crash point; then each pair of them, and so on up to ``faults`` at once."""
    points = crash_points(scenario, deliveries)
    for size in range(faults + 1):
        for chosen in combinations(points, size):
            yield Case(scenario.plus(*chosen), seed, until_s)


# ---------------------------------------------------------------- drawn by chance


class Lottery:
    """Draws schedules: each case has kinds of fault of its own (a swarm), a seed, and maybe an order of ties."""

    def __init__(self, scenario: Scenario, until_s: float, faults: tuple[str, ...], most: int, chance: Chance) -> None:
        self.scenario, self.until_s, self.faults, self.most, self.chance = scenario, until_s, faults, most, chance
        self.takers = _takers(scenario)
        self.nodes = [name for name, part in scenario.named.items() if part.kind in _FAIL]
        self.ways = _ways(scenario)
        self.inward = [way for way in self.ways if scenario.named[way[1]].kind in BROKERS]

    def cases(self, first_seed: int) -> Iterator[Case]:
        """One case after the other, without end; equal lotteries draw equal cases."""
        for n in count():
            draw = self.chance.uniforms(f"schedule {n}")
            found = self._case(draw, first_seed + n)
            if found is not None:
                yield found

    def _case(self, draw: Callable[[], float], seed: int) -> Case | None:
        swarm = [kind for kind in self.faults if draw() < 0.5] or list(self.faults)
        ties = seed + 1 if draw() < 0.5 else 0
        faults = []
        for _ in range(1 + int(draw() * self.most)):
            fault = self._fault(_pick(draw, swarm), draw) if swarm else None
            if fault is not None:
                faults.append(fault)
        scenario = self.scenario.plus(*dict.fromkeys(faults))
        return None if scenario.problems() else Case(scenario, seed, self.until_s, ties)

    def _fault(self, kind: str, draw: Callable[[], float]) -> Fault | None:
        at_s = round(draw() * 0.8 * self.until_s, 2)
        for_s = _pick(draw, _DOWN_S)
        if kind == "crash":
            nth, part = 1 + int(6 * draw() ** 2), _pick(draw, self.takers)
            return Crash(part, after=_pick(draw, _DELIVERY), nth=nth, down_s=for_s)
        if kind in {"crash_at", "pause"}:
            node = _pick(draw, self.nodes)
            return Crash(node, at_s=at_s, down_s=for_s) if kind == "crash_at" else Pause(node, at_s, for_s)
        ways = self.inward if kind == "duplicate" else self.ways
        if not ways:
            return None
        start, end = _pick(draw, ways)
        return _on_link(kind, start, end, draw, at_s, for_s)


def _on_link(kind: str, start: str, end: str, draw: Callable[[], float], at_s: float, for_s: float) -> Fault:
    share = _pick(draw, _SHARES)
    if kind == "partition":
        return Partition(start, end, at_s, for_s, one_way=draw() < 0.3)
    if kind == "delay":
        return Delay(start, end, Constant(_pick(draw, _DOWN_S)), share, at_s, for_s)
    made: type[Drop | Duplicate] = Drop if kind == "drop" else Duplicate
    return made(start, end, share, at_s, for_s)


def _ways(scenario: Scenario) -> list[tuple[str, str]]:
    """From whom to whom something travels."""
    ways: list[tuple[str, str]] = []
    stores = [name for name, part in scenario.named.items() if part.kind == "event_store"]
    for part in scenario.parts:
        if isinstance(part, Publisher | Clients):
            ways.append((part.name, part.to))
        elif isinstance(part, Consumer):
            ways += [(part.of, part.name), (part.name, part.of)]
            ways += [(part.name, target) for target in (part.to, part.dead_letter) if target]
            ways += [way for store in stores for way in ((part.name, store), (store, part.name))]
        elif getattr(part, "kind", None) in STEPPING:
            ways += [(part.of, part.name), (part.name, part.of), *((part.name, target) for target in part.targets)]
        elif getattr(part, "kind", None) == "service":
            ways += [(part.name, called) for called in part.calls]
    return list(dict.fromkeys(ways))


def _pick(draw: Callable[[], float], among: Any) -> Any:
    return among[int(draw() * len(among))]


def refuse_without_parts(scenario: Scenario) -> None:
    """A search needs somebody who can fail."""
    if not any(isinstance(part, Consumer) for part in scenario.parts):
        raise BadScenario(f"{scenario.name} has no consumer, so nothing in it can be searched; add a Consumer(…)")
