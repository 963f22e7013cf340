"""A case: a promise of a real broker, where it is written, and the play that shows whether ours keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from evsim.errors import EvsimError
from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.records import Record


class Seen(NamedTuple):
    """What a play has shown: in words, and whether it is what must be."""

    words: str
    ok: bool


Play = Callable[[], Seen]


@dataclass(frozen=True)
class Case:
    """Given ``broker`` set up like this and hit by this ``fault``, one must see that; ``source`` says who promises."""

    id: str
    broker: str
    setup: str
    fault: str
    must: str
    source: str
    play: Play

    def verdict(self) -> Verdict:
        """Play, and judge what was seen; a play that cannot be run is a promise that is not kept."""
        try:
            seen = self.play()
        except EvsimError as problem:
            seen = Seen(f"{type(problem).__name__}: {problem}", ok=False)
        return Verdict(self, seen.words, seen.ok)


class Verdict(NamedTuple):
    """What became of a case."""

    case: Case
    seen: str
    ok: bool

    @property
    def state(self) -> str:
        """``ok`` or ``VIOLATED``."""
        return "ok" if self.ok else "VIOLATED"

    def to_dict(self) -> dict[str, str]:
        """The same facts for machines."""
        case = self.case
        facts = {"id": case.id, "broker": case.broker, "setup": case.setup, "fault": case.fault, "must": case.must}
        return facts | {"seen": self.seen, "state": self.state, "source": case.source}


class Table(list[Case]):
    """The cases of one room; ``case`` puts the function below it into the table."""

    def __init__(self, broker: str) -> None:
        super().__init__()
        self.broker = broker

    def case(self, id: str, setup: str, must: str, source: str, fault: str = "none") -> Callable[[Play], Play]:  # noqa: A002
        """Say what the play below must show, and who says so."""

        def put(play: Play) -> Play:
            self.append(Case(id, self.broker, setup, fault, must, source, play))
            return play

        return put


# ---------------------------------------------------------------- what plays need


def scene(*parts: Any, until_s: float = 20.0, seed: int = 1) -> History:
    """The history of these parts."""
    return Scenario(*parts, name="conformance").run(until_s, seed, progress=False).history


def rows(history: History, step: str, node: str | None = None, place: str | None = None) -> list[Record]:
    """The rows with this step, in order; a node means its members too."""
    return [
        record
        for record in history.of()
        if record.step == step and _is(record.node, node) and (place is None or record.place == place)
    ]


def _is(name: str, wanted: str | None) -> bool:
    return wanted is None or name == wanted or (name.startswith(f"{wanted}-") and name[len(wanted) + 1 :].isdigit())


def ordinal(record: Record) -> int:
    """Which message of its publisher this is, counted from 0."""
    return int(str(record.event_id).rpartition(".")[2]) - 1


def messages(history: History, step: str, node: str | None = None, place: str | None = None) -> list[int]:
    """The messages that took this step, in order, each counted from 0."""
    return [ordinal(record) for record in rows(history, step, node, place)]


def names(history: History, step: str, node: str | None = None, place: str | None = None) -> list[str]:
    """Who published the messages that took this step, in order."""
    return [str(record.event_id).rpartition(".")[0] for record in rows(history, step, node, place)]


def times(history: History, step: str, node: str | None = None, place: str | None = None) -> list[float]:
    """When this step was taken."""
    return [record.time for record in rows(history, step, node, place)]


def listed(numbers: Iterable[Any]) -> str:
    """``0, 1, 2, 3 … 19``: numbers in a row, the middle left out when there are many."""
    texts = [f"{number:g}" if isinstance(number, float) else str(number) for number in numbers]
    if len(texts) > 12:
        texts = [*texts[:5], "…", *texts[-4:]]
    return ", ".join(texts) or "none"
