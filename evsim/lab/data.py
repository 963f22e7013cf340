"""The datasets: streams of events as they arrived, checked line by line when they are read.

A dataset is a folder with a ``README.md`` and ``events.jsonl.gz``. Each line of the file is one arrival: a JSON object
with ``arrived``, an RFC 3339 moment, and ``event``, an event in our envelope; a line may have ``labels``, the ground
truth of how it was made. Lines stand in the order of arrival.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evsim.errors import BadEvent, BadFile, UnknownName, did_you_mean
from evsim.event import Event, seconds_of, to_rfc3339

LABELS = ("duplicate", "late", "out_of_order", "poison")
BYTES_MAX = 256 * 2**20
"""A file that unpacks to more is refused."""
LINE_MAX = 2**20
_FILE = "events.jsonl.gz"
_HOMES = (Path(__file__).parents[2] / "datasets", Path(__file__).parents[1] / "_datasets")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event, when it came in (seconds since EPOCH), and what is known about it."""

    arrived: float
    event: Event
    labels: tuple[str, ...] = ()

    @property
    def lateness_s(self) -> float:
        """How long after its timestamp the event came in."""
        return self.arrived - self.event.timestamp


@dataclass(frozen=True, slots=True, repr=False)
class Dataset:
    """A stream of events in the order of their arrival."""

    name: str
    arrivals: tuple[Arrival, ...]

    @property
    def events(self) -> tuple[Event, ...]:
        """The events alone, in the order of arrival; a duplicate stands as often as it came."""
        return tuple(arrival.event for arrival in self.arrivals)

    def labelled(self, label: str) -> tuple[Arrival, ...]:
        """The arrivals that carry this label."""
        if label not in LABELS:
            raise UnknownName(f"no label called {label!r}{did_you_mean(label, LABELS)}")
        return tuple(arrival for arrival in self.arrivals if label in arrival.labels)

    def script(self) -> Iterator[tuple[float, Event]]:
        """What a publisher replays: arrival times in seconds from the first, and events."""
        first = self.arrivals[0].arrived if self.arrivals else 0.0
        return ((arrival.arrived - first, arrival.event) for arrival in self.arrivals)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.arrivals)

    def __repr__(self) -> str:
        if not self.arrivals:
            return f"{self.name}: no events"
        span = self.arrivals[-1].arrived - self.arrivals[0].arrived
        types = sorted({arrival.event.type for arrival in self.arrivals})
        counts = [(label, sum(label in arrival.labels for arrival in self.arrivals)) for label in LABELS]
        labels = ", ".join(f"{count} {label.replace('_', ' ')}" for label, count in counts if count)
        return (
            f"{self.name}: {len(self)} arrivals in {span / 3600:.1f} h, types {', '.join(types)}"
            f"{f'; labelled {labels}' if labels else ''}"
        )


def names() -> list[str]:
    """The names of the datasets that come with evsim."""
    return sorted({folder.parent.name for home in _HOMES for folder in home.glob(f"*/{_FILE}")})


def folder_of(name: str) -> Path:
    """The folder of a dataset that comes with evsim."""
    if name not in names():
        raise UnknownName(f"no dataset called {name!r}{did_you_mean(name, names())}")
    return next(home / name for home in _HOMES if (home / name / _FILE).exists())


def about(name: str) -> str:
    """The README of a dataset: origin, licence, columns, units, how it was made."""
    return (folder_of(name) / "README.md").read_text(encoding="utf-8")


def load(name: str) -> Dataset:
    """A dataset that comes with evsim, every event checked."""
    return read(folder_of(name) / _FILE, name=name)


def script(name: str) -> Iterator[tuple[float, Event]]:
    """A dataset as a publisher replays it."""
    return load(name).script()


def read(path: str | Path, name: str | None = None) -> Dataset:
    """The dataset in this file, or BadFile that names the line and the reason; nothing is loaded half."""
    path = Path(path)
    arrivals: list[Arrival] = []
    before = float("-inf")
    for number, line in enumerate(_lines(path), start=1):
        try:
            arrival = parse(line)
        except BadEvent as problem:
            raise BadFile(f"{path.name}, line {number}: {problem}; nothing was loaded") from None
        if arrival.arrived < before:
            raise BadFile(
                f"{path.name}, line {number}: it came before the line above; sort by 'arrived'; nothing was loaded"
            )
        before = arrival.arrived
        arrivals.append(arrival)
    return Dataset(name or path.name, tuple(arrivals))


def parse(line: str) -> Arrival:
    """One line of a dataset, or BadEvent."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise BadEvent(f"{line[:40]!r} is not JSON; expected one object with 'arrived' and 'event'") from None
    if not isinstance(document, dict) or not {"arrived", "event"} <= set(document):
        raise BadEvent("the line is no arrival; expected an object with 'arrived' and 'event'")
    unknown = [field for field in document if field not in {"arrived", "event", "labels"}]
    if unknown:
        raise BadEvent(
            f"{unknown[0]!r} is not a field of an arrival{did_you_mean(unknown[0], ('arrived', 'event', 'labels'))}"
        )
    labels = document.get("labels", [])
    if not isinstance(labels, list) or not set(map(str, labels)) <= set(LABELS):
        raise BadEvent(f"labels {labels!r} are not known; expected some of {', '.join(LABELS)}")
    return Arrival(seconds_of(document["arrived"], "arrived"), Event.from_dict(document["event"]), tuple(labels))


def _lines(path: Path) -> Iterator[str]:
    """The lines of a text file, packed or not, within limits."""
    opener: Callable[[Path], Any] = gzip.open if path.suffix == ".gz" else (lambda p: p.open("rb"))
    size = 0
    try:
        with opener(path) as file:
            while line := file.readline(LINE_MAX + 1):
                size += len(line)
                if len(line) > LINE_MAX or size > BYTES_MAX:
                    raise BadFile(
                        f"{path.name} is too large: at most {LINE_MAX} bytes a line and {BYTES_MAX} a file are read"
                    )
                yield line.decode("utf-8")
    except UnicodeDecodeError:
        raise BadFile(f"{path.name} is not text in UTF-8; nothing was loaded") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise BadFile(f"{path.name} is cut short or not packed with gzip; copy it again; nothing was loaded") from None
    except OSError as problem:
        raise BadFile(f"cannot read {path}: {problem.strerror or problem}; give the path of a dataset") from None


def write(path: str | Path, arrivals: list[Arrival]) -> None:
    """Keep arrivals as a dataset file; the same arrivals give the same bytes with the same zlib."""
    text = io.StringIO()
    for arrival in arrivals:
        document: dict[str, Any] = {"arrived": to_rfc3339(arrival.arrived), "event": arrival.event.to_dict()}
        if arrival.labels:
            document["labels"] = list(arrival.labels)
        text.write(json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n")
    with Path(path).open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        packed.write(text.getvalue().encode())
