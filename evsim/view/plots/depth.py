"""How deep a queue is: what waits, what somebody has in hand, over time; and what came of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evsim.errors import UnknownName, did_you_mean
from evsim.view.conservation import STATES, Balance, balance, piles
from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.ledger import Floats, Whole, span
from evsim.view.sheet_size import top_below
from evsim.view.words import claim_of, count, grouped, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

HIGH, BINS = 190, 300
_KEYS: tuple[Key, ...] = (("bar", "flow", "waiting (ready)"), ("bar", "again", "in hand (unacknowledged)"))
_WAITING, _IN_HAND = STATES.index("waiting"), STATES.index("in flight")


class Depth(NamedTuple):
    """The most that waited, and that somebody had in hand, in each bin of time."""

    edges: Floats
    waiting: Whole
    in_hand: Whole


def depth(history: History, queue: str | None = None) -> Figure:
    """Ready and unacknowledged messages of one queue over time; of the deepest one, unless named."""
    names, end = piles(history), span(history)[1]
    if queue is not None and queue not in names:
        raise UnknownName(f"no queue called {queue!r} in this run{did_you_mean(queue, names)}")
    books = [balance(history, name) for name in ([queue] if queue else names)]
    if not books or end <= 0:
        return empty("Nothing lay in a queue in this run", "There is no depth to show.")
    book = max(books, key=lambda each: int(each.counts[:, _WAITING].max(initial=0)))
    seen, faults = _depth(book, end), faults_of(history, end)
    seed = history.meta.get("seed")
    subtitle = f"Messages in {book.place}" + (f"; seed {seed}." if seed is not None else ".")

    def draw(sheet: Sheet) -> None:
        _draw(sheet, seen, faults)

    height = top_below(len(faults)) + HIGH + 52
    return Figure(_claim(book), subtitle, _facts(book, faults), draw, height=height, keys=_KEYS)


def _depth(book: Balance, end: float) -> Depth:
    edges = np.linspace(0.0, end, BINS + 1)
    return Depth(edges, _most(book, edges, _WAITING), _most(book, edges, _IN_HAND))


def _most(book: Balance, edges: Floats, state: int) -> Whole:
    """The most in each bin, what was there at its beginning included."""
    values = book.counts[:, state]
    before = np.searchsorted(book.time, edges[:-1], side="left") - 1
    found = np.where(before >= 0, values[np.maximum(before, 0)], 0).astype(np.int64)
    bins = np.minimum(np.searchsorted(edges, book.time, side="right") - 1, BINS - 1)
    np.maximum.at(found, bins, values)
    return found


def _claim(book: Balance) -> str:
    most, left = int(book.counts[:, _WAITING].max()), int(book.counts[-1, _WAITING])
    held = int(book.counts[:, _IN_HAND].max())
    if most <= 1:
        return f"Hardly anything ever waited in {book.place}" + (f": {grouped(held)} were in hand" if held > 1 else "")
    at = si(float(book.time[int(np.argmax(book.counts[:, _WAITING]))]), "s")
    head = f"At most {count(most, 'message')} waited in {book.place}, at {at}"
    return claim_of(f"{head}; {grouped(left)} at the end", head)


def _facts(book: Balance, faults: list[Fault]) -> dict[str, str]:
    last = dict(zip(STATES, book.counts[-1].tolist(), strict=True))
    facts = {"stored": count(int(book.stored[-1]), "message")}
    for name, state in (("waiting", _WAITING), ("in hand", _IN_HAND)):
        facts[name] = f"{grouped(int(book.counts[:, state].max()))} at most, {grouped(last[STATES[state]])} at the end"
    facts |= {name: grouped(last[name]) for name in STATES[2:] if last[name]}
    return facts | {"faults": "; ".join(map(str, faults)) or "none"}


def _draw(sheet: Sheet, seen: Depth, faults: list[Fault]) -> None:
    from evsim.view.sheet import plain, seconds

    top = top_below(len(faults))
    axes = sheet.axes(74, top, 876, top + HIGH)
    total = seen.waiting + seen.in_hand
    axes.stairs(total, seen.edges, fill=True, color=sheet.colour["again"], alpha=0.85, lw=0, zorder=2)
    axes.stairs(seen.waiting, seen.edges, fill=True, color=sheet.colour["flow"], lw=0, zorder=3)
    axes.set_xlim(seen.edges[0], seen.edges[-1])
    axes.set_ylim(0, 1.1 * max(1, int(total.max())))
    plain(axes.yaxis)
    seconds(axes.xaxis, float(seen.edges[-1]), 9)
    sheet.name_y(axes, "messages")
    sheet.name_x(axes, "simulated time")
    sheet.ribbon(faults, [axes])
