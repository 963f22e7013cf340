"""The result in your hand: history, summary, figures, verdicts, story."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evsim.lab import token
from evsim.view import checks, measures
from evsim.view.words import si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.lab.scenario import Scenario
    from evsim.view.figure import Figure


class Text(str):
    """Text that a notebook shows as it reads."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Verdicts(list[Any]):
    """Verdicts, shown one below the other."""

    @property
    def hold(self) -> bool:
        """Whether every promise was judged and held."""
        return all(verdict.state == "ok" for verdict in self)

    def __repr__(self) -> str:
        return "\n".join(str(verdict) for verdict in self)


class Summary(dict[str, Any]):
    """The headline numbers of a run; None where there was nothing to measure."""

    def __repr__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{name:<{width}}  {_number(name, value)}" for name, value in self.items())


class Run:
    """What one scenario did with one seed."""

    def __init__(self, scenario: Scenario, seed: int, until_s: float, history: History, *, interrupted: bool = False) -> None:
        self.scenario, self.seed, self.until_s = scenario, seed, until_s
        self.history, self.interrupted = history, interrupted
        self._summary: Summary | None = None

    # ---------------------------------------------------------------- numbers and words

    def summary(self, group: str | None = None) -> Mapping[str, Any]:
        """The headline numbers, of one consumer when ``group`` names it."""
        if group is not None:
            return Summary(measures.summary(self.history, group=group))
        if self._summary is None:
            self._summary = Summary(measures.summary(self.history))
        return self._summary

    def check(self, *promises: Any) -> Verdicts:
        """Whether these promises were kept: ok, VIOLATED with the smallest witness, or unknown."""
        return Verdicts(checks.judge(promise, self.history) for promise in promises)

    def story(self, name: str) -> Text:
        """The life of one event (``"shop.3"``) or order (``"order-3"``) in plain sentences."""
        return Text(self.history.story(name))

    @property
    def token(self) -> str:
        """A short text that replays this run bit for bit: ``evsim replay TOKEN``."""
        return token.write(self)

    def save(self, path: str | Path) -> Path:
        """Keep the history in a file."""
        return self.history.save(path)

    # ---------------------------------------------------------------- pictures

    def latency(self, group: str | None = None, *, theory: bool = True) -> Figure:
        """How long from published to handled; dashed, what the formula predicts."""
        from evsim.view.plots.latency import latency  # noqa: PLC0415

        return latency(self.history, group=group, theory=theory)

    def throughput(self) -> Figure:
        """What was published and handled, second by second, and what waited."""
        from evsim.view.plots.throughput import throughput  # noqa: PLC0415

        return throughput(self.history)

    def timeline(self, key: str | None = None, **options: Any) -> Figure:
        """Who sent what to whom, and when: the space-time diagram of one event or order."""
        from evsim.view.plots.timeline import timeline  # noqa: PLC0415

        return timeline(self.history, key=key, **options)

    def topology(self) -> Figure:
        """The parts and how much flows between them."""
        from evsim.view.plots.topology import topology  # noqa: PLC0415

        return topology(self.history)

    # ---------------------------------------------------------------- shown

    def __repr__(self) -> str:
        return "\n".join(f"{name:<12}{text}" for name, text in self._lines())

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{_escaped(name)}</td><td>{_escaped(text)}</td></tr>" for name, text in self._lines())
        return f"<table>{rows}</table>"

    def _lines(self) -> list[tuple[str, str]]:
        facts = self.summary()
        early = ", interrupted" if self.interrupted else ""
        head = f"seed {self.seed}, {self.until_s:.6g} s{early}, digest {self.history.digest()[:12]}"
        lines = [
            (self.scenario.name, head),
            ("events", f"{facts['published']} published, {facts['acked']} acknowledged"),
            ("throughput", f"{_number('throughput', facts['throughput'])}"),
            ("latency", _latency(facts)),
            ("backlog", f"{facts['backlog_max']} at most, {_number('lag_max_s', facts['lag_max_s'])} behind at most"),
            ("utilisation", _number("utilisation", facts["utilisation"])),
            ("trouble", _trouble(facts)),
        ]
        if facts.get("littles_law") is False:
            lines.append(("beware", "Little's law does not hold in this history: rows are missing or wrong"))
        return lines


def _latency(facts: Mapping[str, Any]) -> str:
    names = ("mean", "p50", "p95", "p99")
    return ", ".join(f"{name} {_number('_s', facts[f'latency_{name}_s'])}" for name in names)


def _trouble(facts: Mapping[str, Any]) -> str:
    told = [f"{facts[name]} {name.replace('_', ' ')}" for name in ("redelivered", "duplicates", "lost", "dead_lettered", "expired") if facts[name]]
    return ", ".join(told) or "none: nothing redelivered, repeated, lost or put aside"


def _number(name: str, value: Any) -> str:
    if value is None:
        return "nothing to measure"
    if isinstance(value, bool):
        return "holds" if value else "broken"
    if isinstance(value, int):
        return str(value)
    if name == "throughput":
        return f"{value:.3g}/s"
    if name == "utilisation":
        return f"{100 * value:.1f} %"
    return si(value, "s") if name.endswith("_s") else f"{value:.4g}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
