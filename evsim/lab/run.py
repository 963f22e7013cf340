"""A run: under way as a session in your hand, and finished as a value that is measured, checked, told and drawn."""

from __future__ import annotations

import copy
import html
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evsim.errors import BadScenario, UnknownName, shown
from evsim.lab.progress import interruptible, watched
from evsim.lab.text import Lines, Text
from evsim.sim.ties import ShuffledWorld
from evsim.sim.world import World
from evsim.view import measures
from evsim.view.words import count, digits, grouped, rate, share, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.lab.scenario import Scenario
    from evsim.lab.search import Found
    from evsim.view.figure import Figure
    from evsim.view.moment import Moment


class Session:
    """A run under way: ``run_until`` a time, ``step`` once, look at ``history``; ``finish`` gives the run."""

    def __init__(self, scenario: Scenario, seed: int, ties: int = 0) -> None:
        self.scenario, self.seed, self.ties = scenario, seed, ties
        self.world = ShuffledWorld(ties, seed=seed, load=_script) if ties else World(seed=seed, load=_script)
        self.history = self.world.history
        self.history.meta.update(scenario=scenario.name, scenario_digest=scenario.digest(), seed=seed)
        self.world.build(scenario.parts)
        self._finished = False
        self._asked = 0.0

    @property
    def now(self) -> float:
        """Simulated time in seconds."""
        return float(self.world.now)

    def step(self) -> float:
        """Do the next thing that is due, and say what time it is then."""
        self._refuse_when_finished()
        if self.world.peek() < math.inf:
            self.world.step()
        return self.now

    def run_until(self, until_s: float, progress: bool | None = None) -> Session:
        """Go on until this time; what happens at this very time is not yet done. Ctrl-C stops between two steps."""
        self._refuse_when_finished()
        until_s = self._asked = _time(until_s)
        if until_s < self.now:
            raise BadScenario(f"until_s={until_s:g} is in the past: this run is already at {self.now:g} s")
        world = self.world
        world.interrupted = False
        with interruptible(world), watched(world, until_s, progress):
            while world.now < until_s and not world.interrupted:
                world.run(until=until_s)
        return self

    def finish(self, until_s: float | None = None, progress: bool | None = None) -> Run:
        """Go on until ``until_s`` if given, close the history, and give the run."""
        if until_s is not None:
            self.run_until(until_s, progress)
        self._refuse_when_finished()
        self._finished = True
        interrupted_at = self.now if self.world.interrupted else None
        asked = self.now if interrupted_at is None else self._asked
        self.world.close()
        self.history.meta.update(until_s=asked, interrupted=interrupted_at is not None)
        return Run(self.scenario, self.seed, asked, self.history, interrupted_at, self.ties)

    def _refuse_when_finished(self) -> None:
        if self._finished:
            raise BadScenario("this run is finished and cannot go on; start another with scenario.start(seed)")

    def __repr__(self) -> str:
        state = "finished" if self._finished else "under way"
        return (
            f"{self.scenario.name}  seed {self.seed}  {state} at {self.now:g} s  {count(len(self.history), 'record')}"
        )


def _time(until_s: Any) -> float:
    if isinstance(until_s, bool) or not isinstance(until_s, int | float) or not 0 < until_s < math.inf:
        raise BadScenario(f"until_s={shown(until_s)} is refused; expected a number of seconds above 0, such as 60")
    return float(until_s)


def _script(name: str) -> Any:
    from evsim.lab import data

    return data.script(name)


class Run:
    """What came of a scenario and a seed: everything is read from ``history``."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        until_s: float,
        history: History,
        interrupted_at: float | None = None,
        ties: int = 0,
    ) -> None:
        self.scenario, self.seed, self.until_s, self.history = scenario, seed, until_s, history
        self.ties = ties
        self.interrupted_at = interrupted_at

    @property
    def interrupted(self) -> bool:
        """Whether somebody stopped the run before its end."""
        return self.interrupted_at is not None

    def digest(self) -> str:
        """64 hexadecimal digits of the history: equal for equal runs."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return self.history.digest()

    @cached_property
    def token(self) -> Text:
        """A line of text that replays this run bit for bit: ``evsim replay TOKEN``."""
        from evsim.lab.token import token_of

        return Text(token_of(self))

    # ---------------------------------------------------------------- numbers and words

    def summary(self, group: str | None = None) -> Mapping[str, Any]:
        """The headline numbers by name, of one consumer when ``group`` names it; None where nothing was measured."""
        return Summary(self._measured if group is None else measures.summary(self.history, group))

    @cached_property
    def _measured(self) -> dict[str, Any]:
        return measures.summary(self.history)

    def publishing(self, publisher: str | None = None) -> Mapping[str, Any]:
        """How well events were published, by name: goodput, time to confirm, attempts, what was lost all the same."""
        from evsim.view.publishing import publishing

        return Summary(publishing(self.history, publisher))

    def check(self, *promises: Any) -> Verdicts:
        """The verdict on each promise: ``ok``, ``VIOLATED`` with the smallest witness, or ``unknown``."""
        if not promises:
            return Verdicts()
        from evsim.view.checks import judge

        return Verdicts(judge(promise, self.history) for promise in promises)

    def shrink(self, *promises: Any, budget: int = 500) -> Found:
        """The smallest run, found in at most ``budget`` runs, that breaks the same promise as this one."""
        from evsim.lab.search import shrink

        return shrink(self, promises, budget)

    def story(self, name: str) -> Text:
        """The life of one event (``"shop.3"``) or one order (``"order-3"``), in sentences."""
        return Text(self.history.story(name))

    def at(self, at_s: float) -> Moment:
        """The state of every part at this time: who was up, what was in hand, how far each group had come."""
        from evsim.view.moment import moment

        return moment(self.history, self._within(at_s))

    def state(self, consumer: str, at_s: float | None = None) -> dict[str, Any]:
        """What a consumer's handlers had saved by this time (None: at the end); found by running again up to it."""
        session = self.scenario.start(self.seed, self.ties)
        session.run_until(self.until_s if at_s is None else self._within(at_s), progress=False)
        live = session.world.find(consumer)
        if not hasattr(live, "group"):
            raise UnknownName(f"{consumer!r} keeps no state; expected the name of a consumer with handlers")
        return copy.deepcopy(live.group.disk)

    def fork(self, at_s: float, *faults: Any) -> Run:
        """The same run up to ``at_s``, and what if from there: these faults, each with a time not before it.

        Chance has a name for each of its uses, so that all that the faults do not touch meets the same luck.
        """
        self._within(at_s)
        for fault in faults:
            when = getattr(fault, "at_s", None)
            if when is None or when < at_s:
                raise BadScenario(f"{fault!r} does not begin after {at_s:g} s; give it at_s={at_s:g} or later")
        other = self.scenario.plus(*faults).start(self.seed, self.ties)
        return other.run_until(self.until_s, progress=False).finish()

    def _within(self, at_s: float) -> float:
        if not 0 <= at_s <= self.until_s:
            raise BadScenario(f"{at_s:g} s is not in this run, which lasts from 0 to {self.until_s:g} s")
        return float(at_s)

    def save(self, path: str | Path) -> Path:
        """Keep the history in a file; ``History.load`` reads it."""
        return self.history.save(path)

    # ---------------------------------------------------------------- figures

    def latency(self, group: str | None = None, *, theory: bool = True) -> Figure:
        """A figure: how long from published to handled; dashed, what theory predicts."""
        return _plots().latency(self.history, group, theory=theory)

    def throughput(self, group: str | None = None) -> Figure:
        """A figure: what was published and handled, second by second, and what waited."""
        return _plots().throughput(self.history, group)

    def timeline(self, *names: str, **window: Any) -> Figure:
        """A figure: who had these events or orders in hand, and when."""
        return _plots().timeline(self.history, *names, **window)

    def topology(self, **window: Any) -> Figure:
        """A figure: the parts, and how much flowed between them; in a window, ``from_s`` and ``to_s`` say which."""
        return _plots().topology(self.history, **window)

    def routing(self) -> Figure:
        """A figure: how many events of each publisher came to each place, and how many found no way."""
        return _plots().routing(self.history)

    def dead_letters(self) -> Figure:
        """A figure: why events were parked, after how many tries, and how many were handled in the end."""
        return _plots().dead_letters(self.history)

    def lag(self, group: str | None = None) -> Figure:
        """A figure: what a group has still to read, partition by partition, in events and seconds, and who owns it."""
        return _plots().lag(self.history, group)

    def depth(self, queue: str | None = None) -> Figure:
        """A figure: what waits in a queue and what somebody has in hand, over time; of the deepest, unless named."""
        return _plots().depth(self.history, queue)

    def ownership(self, group: str | None = None) -> Figure:
        """A figure: who owned which partition through every rebalance, and when nobody worked on it."""
        return _plots().ownership(self.history, group)

    def order(self, group: str | None = None) -> Figure:
        """A figure: sequence against arrival; what a group handled out of order, and what holding back would mend."""
        return _plots().order(self.history, group)

    def completeness(self, size_s: float, where: str | None = None, **how: Any) -> Figure:
        """A figure: the share of events that windows of ``size_s`` seconds count, by how long one waits for it.

        ``where`` is a group or a broker; ``mean_s`` draws the formula for exponential delays beside it, and ``reach_s``
        is the longest wait that is judged.
        """
        return _plots().completeness(self.history, size_s, where, **how)

    def staleness(self, view: str | None = None, *, from_s: float = 0.0) -> Figure:
        """A figure: how old the answers of a read model are, in seconds and in versions, with the formulas dashed."""
        return _plots().staleness(self.history, view, from_s=from_s)

    def heads(self, view: str | None = None) -> Figure:
        """A figure: what was written against what a read model shows, and the gap between the two over time."""
        return _plots().heads(self.history, view)

    def saga(self, key: str | None = None, plan: Any = None) -> Figure:
        """A figure: the waterfall of one saga, and what the rest of the system saw meanwhile."""
        return _plots().saga(self.history, key, plan)

    def ledger(self, effect: str) -> Figure:
        """A figure: how often each key came, what became of it each time, and how often the effect happened."""
        return _plots().ledger(self.history, effect)

    def divergence(self, source: str, copies: Mapping[str, str], field: str = "version") -> Figure:
        """A figure: about how many rows copies differ from their source, over time; each is named by its effect."""
        return _plots().divergence_figure(self.history, source, copies, field)

    def storm(self) -> Figure:
        """A figure: what was asked, what was asked again, and what came of it; for services and their callers."""
        return _plots().storm(self.history)

    # ---------------------------------------------------------------- at a glance

    def headlines(self) -> list[tuple[str, str]]:
        """What, and how much, in words; nothing that a second run would say differently."""
        return [(title, _shown(name, self._measured[name])) for name, title in _HEADLINES.items()]

    def remarks(self) -> list[str]:
        """What a reader of these numbers must know: that the run is not whole, or that its history cannot be true."""
        found = []
        if self.interrupted_at is not None:
            found.append(
                f"stopped from the keyboard at {self.interrupted_at:g} s of {self.until_s:g} s: a part of a run"
            )
        if self._measured["littles_law"] is False:
            found.append(f"Little's law is broken: {measures.little(self.history).reason}; do not trust these numbers")
        return found

    @property
    def _title(self) -> str:
        size = count(self.history.event_count, "event")
        print_ = f"{self._digest[:4]} {self._digest[4:8]}"
        return f"{self.scenario.name}  seed {self.seed}  {self.until_s:g} s  {size}  fingerprint {print_}"

    def __repr__(self) -> str:
        words = dict(self.headlines())
        none = si(None)
        body = [
            "   ".join(f"{title} {words[title]}" for n, title in enumerate(row) if n == 0 or words[title] != none)
            for row in _ROWS
        ]
        body = [line.replace("   latency ", "   ") for line in body]
        return "\n          ".join([f"Run       {self._title}", *body, *self.remarks()])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in self.headlines())
        remarks = "".join(f"<p>{html.escape(remark)}</p>" for remark in self.remarks())
        return f"<p>{html.escape(self._title)}</p>{remarks}<table>{rows}</table>"


_HEADLINES = {
    "throughput": "throughput",
    "utilisation": "utilisation",
    "latency_mean_s": "latency mean",
    "latency_p50_s": "latency p50",
    "latency_p99_s": "latency p99",
    "backlog_max": "backlog at most",
    "lag_max_s": "lag at most",
    "redelivered": "redelivered",
    "duplicates": "duplicates",
    "lost": "lost",
    "dead_lettered": "dead-lettered",
}
_ROWS = (
    ("throughput", "utilisation"),
    ("latency mean", "latency p50", "latency p99"),
    ("backlog at most", "lag at most"),
    ("redelivered", "duplicates", "lost", "dead-lettered"),
)


class Summary(dict[str, Any]):
    """The headline numbers of a run, shown below each other."""

    def __repr__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{name:<{width}}  {_shown(name, value)}" for name, value in self.items())


class Verdicts(Lines):
    """Verdicts, shown below each other."""

    @property
    def hold(self) -> bool:
        """Whether every promise was judged, and kept."""
        return all(verdict.state == "ok" for verdict in self)


def _plots() -> Any:
    """The figures; entered late, for they are many."""
    from evsim.view import plots

    return plots


def _shown(name: str, value: Any) -> str:
    """A number of a summary with its unit."""
    if isinstance(value, bool):
        return "holds" if value else "broken"
    if name in {"throughput", "goodput"}:
        return rate(value)
    if name.endswith("_s") or value is None:
        return si(value, "s")
    if name == "batch_mean":
        return digits(value)
    return share(value) if name == "utilisation" else grouped(value)
