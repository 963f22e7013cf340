"""How old the answers of a read model are, in seconds and in versions: measured in a history, and by formula.

An event can be seen in a read model from the step *saved* on, and on the side that is written to from *stored* on.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from evsim.errors import BadScenario, UnknownName, did_you_mean
from evsim.history import History, part_of
from evsim.view.keys import Keys
from evsim.view.ledger import Flags, Floats, Whole, log_of


class Sides(NamedTuple):
    """For each event when it was written, and when it could be seen in a read model; inf if not by the end."""

    view: str
    source: str
    stored_s: Floats
    seen_s: Floats
    end_s: float

    @property
    def written(self) -> Flags:
        """Which events were written."""
        return np.isfinite(self.stored_s)

    def after_s(self, from_s: float = 0.0) -> Floats:
        """How long each event written from then on could not be seen, in the order of writing; inf if it never could.

        What was merely under way at the end, for no longer than others took, is left out.
        """
        events = np.flatnonzero(self.written & (self.stored_s >= from_s))
        events = events[np.argsort(self.stored_s[events], kind="stable")]
        after = np.asarray(self.seen_s[events] - self.stored_s[events])
        longest = float(np.max(after[np.isfinite(after)], initial=0.0))
        return np.asarray(after[np.isfinite(after) | (self.end_s - self.stored_s[events] > longest)])


def view_of(history: History, view: str | None = None) -> str:
    """The read model that is meant: the only one unless it is named; UnknownName if there is none of this name."""
    views = [name for name, part in history.parts.items() if "projection" in part]
    if view is None and len(views) == 1:
        return views[0]
    if view is None:
        raise UnknownName(
            "there is no projection in this run" if not views else f"which projection? say one of {', '.join(views)}"
        )
    if view not in views:
        raise UnknownName(f"no projection called {view!r} in this run{did_you_mean(view, views)}")
    return view


def sides(history: History, view: str | None = None) -> Sides:
    """When each event was written and seen."""
    name = view_of(history, view)
    source = str(history.parts[name]["of"])
    stored = _first_s(history, "stored", source)
    seen = np.where(np.isfinite(stored), _first_s(history, "saved", name, source), math.inf)
    return Sides(name, source, stored, seen, float(history.time[-1]) if len(history) else 0.0)


def _first_s(history: History, step: str, node: str, of: str | None = None) -> Floats:
    """For each event when it first took this step at a part, from this source; inf if it did not."""
    codes = [
        code
        for code, what in enumerate(history.whats)
        if what.step == step
        and node in {what.node, part_of(what.node)}
        and (of is None or of in {what.place, log_of(what.place)})
    ]
    found = np.full(history.event_count, math.inf)
    rows = np.flatnonzero(np.isin(history.what, codes))
    rows = rows[history.event[rows] >= 0][::-1]
    found[history.event[rows]] = history.time[rows]
    return found


def hidden_share(history: History, after_s: float, view: str | None = None, *, from_s: float = 0.0) -> float:
    """The share of events written from ``from_s`` on that could not be seen ``after_s`` later; nan when none was."""
    found = sides(history, view)
    chosen = found.written & (found.stored_s >= from_s) & (found.stored_s <= found.end_s - after_s)
    late = found.seen_s[chosen] - found.stored_s[chosen] > after_s
    return float(late.mean()) if len(late) else math.nan


def quantile_s(history: History, share: float, view: str | None = None, *, from_s: float = 0.0) -> float:
    """After how many seconds this share of what was written could be seen; inf if it never could, nan for no event."""
    after = np.sort(sides(history, view).after_s(from_s))
    return float(after[min(len(after) - 1, math.ceil(share * len(after)) - 1)]) if len(after) else math.nan


def whole_way_s(history: History, share: float, view: str | None = None, *, from_s: float = 0.0) -> float:
    """After how many seconds this share of wishes could be seen: from the first event of their flow, a command, on."""
    found = sides(history, view)
    events = np.flatnonzero(found.written & (found.stored_s >= from_s))
    published = _published_s(history)
    roots = np.array([history.root_of(event) for event in events.tolist()], dtype=np.int64)
    known = roots >= 0
    took = np.sort(found.seen_s[events[known]] - published[roots[known]])
    return float(took[min(len(took) - 1, math.ceil(share * len(took)) - 1)]) if len(took) else math.nan


def _published_s(history: History) -> Floats:
    found = np.full(history.event_count, math.inf)
    rows = np.flatnonzero(np.isin(history.what, history.codes("published")))[::-1]
    found[history.event[rows]] = history.time[rows]
    return found


def versions_behind(history: History, view: str | None = None, *, from_s: float = 0.0) -> Floats:
    """For 0, 1, 2… the share of time in which a key is so many versions behind, on average over all keys written to.

    Empty when nothing was written.
    """
    found, labels = sides(history, view), Keys(history).labels
    events = np.flatnonzero(found.written)
    if not len(events) or found.end_s <= from_s:
        return np.zeros(0)
    seen = events[np.isfinite(found.seen_s[events])]
    time = np.concatenate([found.stored_s[events], found.seen_s[seen]])
    label = np.concatenate([labels[events], labels[seen]])
    change = np.concatenate([np.ones(len(events), np.int64), -np.ones(len(seen), np.int64)])
    order = np.lexsort((-change, time, label))
    time, label, change = time[order], label[order], change[order]
    last = np.append(label[1:] != label[:-1], True)
    first = np.append(True, last[:-1])
    total = np.cumsum(change)
    before = np.maximum.accumulate(np.where(first, np.arange(len(total)), 0))
    behind = total - (total[before] - change[before])
    until = np.where(last, found.end_s, np.append(time[1:], 0.0))
    weight = np.maximum(0.0, until - np.maximum(time, from_s))
    shares = np.bincount(behind, weights=weight)
    whole = (found.end_s - from_s) * int(last.sum())
    shares[0] += whole - shares.sum()
    return np.asarray(shares / whole)


def behind(found: Sides) -> tuple[Floats, Whole]:
    """By how many events the read model is behind what is written, from each of these moments on."""
    stored = np.sort(found.stored_s[found.written])
    seen = np.sort(found.seen_s[np.isfinite(found.seen_s)])
    times = np.unique(np.concatenate([stored, seen]))
    return times, np.searchsorted(stored, times, side="right") - np.searchsorted(seen, times, side="right")


# -------------------------------------------------------------------- what readers met


class Reads(NamedTuple):
    """The answers that sessions got: when each asked and read, what of, and which version of their key they saw.

    ``own`` is the version of the own write that they look for, counted from 1 in the order of writing; ``version`` the
    newest one that they could see (0: none). ``at_source`` says that the side which is written to has answered.
    """

    sessions: list[str]
    session: Whole
    asked_s: Floats
    read_s: Floats
    event: Whole
    own: Whole
    version: Whole
    at_source: Flags
    places: list[str]

    @property
    def stale(self) -> Flags:
        """Which answers did not show the session's own write."""
        return self.version < self.own

    @property
    def before(self) -> Whole:
        """For each answer the newest version that its session had been shown before it asked."""
        return _newest(self.session, self.version, self.read_s, self.session, self.asked_s)

    @property
    def took_s(self) -> Floats:
        """How long each answer took."""
        return self.read_s - self.asked_s


def reads(history: History, clients: str | None = None) -> Reads:
    """What the sessions of these clients were answered, in the order of the answers; all clients unless named."""
    known = [name for name, part in history.parts.items() if part.get("kind") == "clients"]
    if clients is not None and clients not in known:
        raise UnknownName(f"no clients called {clients!r} in this run{did_you_mean(clients, known)}")
    codes = _asking(history, [clients] if clients is not None else known)
    rows = np.flatnonzero(np.isin(history.what, list(codes["read"])))
    asked = np.flatnonzero(np.isin(history.what, list(codes["asked"])))
    names = sorted({history.whats[int(history.what[row])].node for row in rows})
    number = {name: n for n, name in enumerate(names)}
    session = np.array([number[history.whats[int(history.what[row])].node] for row in rows], dtype=np.int64)
    places = [history.whats[int(history.what[row])].place for row in rows]
    asked_s = {(int(history.event[row]), int(history.number[row])): float(history.time[row]) for row in asked}
    event = history.event[rows].astype(np.int64)
    begun = np.array([asked_s[int(e), int(n)] for e, n in zip(event, history.number[rows], strict=True)], dtype=float)
    own, version = _versions(history, event, history.time[rows], places)
    source = {str(part.get("to")) for name, part in history.parts.items() if name in known}
    at_source = np.array([place in source for place in places], dtype=bool)
    return Reads(names, session, begun, history.time[rows].astype(float), event, own, version, at_source, places)


def _asking(history: History, clients: list[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {"asked": set(), "read": set()}
    for code, what in enumerate(history.whats):
        if what.step in found and part_of(what.node) in clients:
            found[what.step].add(code)
    return found


def _versions(history: History, event: Whole, at_s: Floats, places: list[str]) -> tuple[Whole, Whole]:
    """The version of each event in its key as it was written, and the newest one that was there where it was read."""
    labels = Keys(history).labels
    own, version = np.zeros(len(event), np.int64), np.zeros(len(event), np.int64)
    for place in dict.fromkeys(places):
        here = np.flatnonzero([each == place for each in places])
        part = history.parts.get(place, {})
        written = _first_s(history, "stored", str(part["of"]) if "projection" in part else place)
        shown = _first_s(history, "saved", place, str(part["of"])) if "projection" in part else written
        numbers = _numbers(labels, written)
        own[here] = numbers[event[here]]
        version[here] = _newest(labels, numbers, shown, labels[event[here]], at_s[here])
    return own, version


def _numbers(labels: Whole, written_s: Floats) -> Whole:
    """The version that each event is of its key, from 1 on in the order of writing; 0 for what was not written."""
    numbers = np.zeros(len(labels), dtype=np.int64)
    events = np.flatnonzero(np.isfinite(written_s))
    events = events[np.lexsort((events, written_s[events], labels[events]))]
    runs = np.append(True, labels[events][1:] != labels[events][:-1]) if len(events) else np.zeros(0, bool)
    begins = np.maximum.accumulate(np.where(runs, np.arange(len(events)), 0)) if len(events) else events
    numbers[events] = np.arange(len(events)) - begins + 1
    return numbers


def _newest(labels: Whole, numbers: Whole, shown_s: Floats, asked: Whole, at_s: Floats) -> Whole:
    """For each question the highest version of its key that was shown by then; what is shown at that moment counts."""
    events = np.flatnonzero(np.isfinite(shown_s))
    time = np.concatenate([shown_s[events], at_s])
    label = np.concatenate([labels[events], asked])
    is_question = np.concatenate([np.zeros(len(events), bool), np.ones(len(at_s), bool)])
    value = np.concatenate([numbers[events], np.zeros(len(at_s), np.int64)])
    order = np.lexsort((is_question, time, label))
    _, run = np.unique(label[order], return_inverse=True)
    far = int(value.max(initial=0)) + 1
    newest = np.maximum.accumulate(value[order] + run * far) - run * far
    found = np.zeros(len(order), dtype=np.int64)
    found[order] = newest
    return found[len(events) :]


class Met(NamedTuple):
    """What sessions met, in short.

    The shares of answers without their own write, of answers that went back in time, and of those that the side which
    is written to had to give; and how long answers took.
    """

    answers: int
    stale: float
    back: float
    mean_s: float
    p99_s: float
    at_source: float


def met(history: History, clients: str | None = None) -> Met:
    """What sessions met; shares are nan when nobody read anything."""
    found = reads(history, clients)
    many = len(found.event)
    if not many:
        return Met(0, math.nan, math.nan, math.nan, math.nan, math.nan)
    took = np.sort(found.took_s)
    p99_s = float(took[min(many - 1, math.ceil(0.99 * many) - 1)])
    shares = (found.stale.mean(), (found.version < found.before).mean(), took.mean(), p99_s, found.at_source.mean())
    return Met(many, *map(float, shares))


# -------------------------------------------------------------------- by formula


def hidden_law(rate: float, service_rate: float, after_s: float) -> float:
    """P(own write cannot be seen ``after_s`` later) when the projector is an M/M/1: exp(-(μ - λ) t).

    >>> round(hidden_law(rate=8, service_rate=10, after_s=1), 4)
    0.1353
    """
    return math.exp(-_spare(rate, service_rate) * after_s)


def latest_hidden_law(key_rate: float, delay_s: float) -> float:
    """P(the latest version of a key cannot be seen), for a delay that is exponential with this mean: λm / (1 + λm).

    >>> round(latest_hidden_law(key_rate=2, delay_s=0.25), 4)
    0.3333
    """
    return key_rate * delay_s / (1 + key_rate * delay_s)


def versions_law(key_rate: float, delay_s: float, most: int) -> Floats:
    """P(a key is 0, 1 … ``most`` versions behind) at an M/M/1: geometric, with r = ``latest_hidden_law``."""
    r = latest_hidden_law(key_rate, delay_s)
    return np.asarray((1 - r) * r ** np.arange(most + 1), dtype=np.float64)


def wait_law_s(rate: float, service_rate: float, violations: float) -> float:
    """How long one has to wait before one reads, for this share of violations at an M/M/1: -ln(p) / (μ - λ)."""
    if not 0 < violations <= 1:
        raise BadScenario(f"violations={violations:g} is no share above 0; expected for example 0.001")
    return -math.log(violations) / _spare(rate, service_rate)


def drain_law_s(rate: float, service_rate: float, down_s: float) -> float:
    """How long a projector that was down needs to catch up while more is written: λD / (μ - λ)."""
    return rate * down_s / _spare(rate, service_rate)


def _spare(rate: float, service_rate: float) -> float:
    """What the projector can do beyond what comes."""
    if not 0 <= rate < service_rate:
        raise BadScenario(
            f"rate={rate:g} against service_rate={service_rate:g} leaves nothing spare, so that the read model falls "
            "behind for ever; expected a rate below the service rate"
        )
    return service_rate - rate
