"""How often something was done in the outside world, for each key: too often, never, and why."""

from __future__ import annotations

import numpy as np

from evsim.errors import did_you_mean
from evsim.history import History
from evsim.view.endings import Flows
from evsim.view.fates import Fate, Fates, fates
from evsim.view.keys import Keys
from evsim.view.ledger import Flags, Ledger, Whole
from evsim.view.verdict import Verdict, fate_told, joined, often, others, times_told, under_way

_NEVER = np.iinfo(np.int64).max


class Effects:
    """All rows of one effect, and the key that each is about."""

    def __init__(self, history: History, effect: str) -> None:
        self.history, self.effect = history, effect
        self.ledger, self.keys = Ledger(history), Keys(history)
        codes = np.array([what.step == "effect" and what.place == effect for what in history.whats], dtype=bool)
        self.rows, self.labels = labels_of(self.ledger, self.keys, self.ledger.rows_of(codes))

    @property
    def title(self) -> str:
        """The effect as it is quoted in a sentence."""
        return f"«{self.effect}»"

    @property
    def noun(self) -> str:
        """What the keys are called."""
        return self.keys.noun(self.labels if len(self.labels) else self.keys.labels)

    @property
    def never(self) -> str:
        """The sentence for an effect that did not happen at all."""
        known = dict.fromkeys(what.place for what in self.history.whats if what.step == "effect")
        return f"{self.title} never happened{did_you_mean(self.effect, known)}"


def labels_of(ledger: Ledger, keys: Keys, rows: Whole) -> tuple[Whole, Whole]:
    """Rows of effects with the label of each: the key of the event that was handled, unless the note names another."""
    events, numbers = ledger.event[rows], ledger.number[rows]
    labels = np.full(len(rows), _NEVER, dtype=np.int64)
    labels[events >= 0] = keys.labels[events[events >= 0]]
    notes = ledger.history.notes
    for spot in np.flatnonzero(numbers >= 0).tolist():
        key = notes[int(numbers[spot])].get("key")
        if key is not None:
            labels[spot] = keys.label_of(str(key))
    return rows[labels != _NEVER], labels[labels != _NEVER]


def repeated(effects: Effects) -> Verdict:
    """The key for which the effect happened more than once: the fewest times, then the earliest."""
    name = f"at most one {effects.title} per {effects.noun}"
    if not len(effects.rows):
        return Verdict("unknown", name, (effects.never,))
    labels, run, counts = np.unique(effects.labels, return_inverse=True, return_counts=True)
    if counts.max() < 2:
        return Verdict("ok", name)
    order = np.lexsort((effects.rows, run))
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    many = np.flatnonzero(counts > 1)
    second = effects.rows[order[begins[many] + 1]]
    worst = many[np.lexsort((second, counts[many]))[0]]
    rows = effects.rows[run == worst]
    key, times = effects.keys.text(int(labels[worst])), effects.history.time[rows].tolist()
    events = list(dict.fromkeys(effects.ledger.event[rows].tolist()))
    line = f"{key}: {len(rows)} times, at {times_told(times)}: {_why(effects, rows, events)}"
    ids = tuple(effects.history.id_of(event) for event in events if event >= 0)
    return Verdict("VIOLATED", name, (line, *others(len(many) - 1, effects.noun)), key, ids, tuple(times))


def _why(effects: Effects, rows: Whole, events: list[int]) -> str:
    """What the history shows of the reason."""
    ledger, history = effects.ledger, effects.history
    if len(events) > 1:
        causes = {int(effects.keys.causes[event]) for event in events}
        ids = joined(history.id_of(event) for event in events[:4])
        if len(causes) == 1 and causes != {-1}:
            together = "both" if len(events) == 2 else "all"
            return f"{_number(len(events))} messages, {ids}, {together} caused by {history.id_of(causes.pop())}"
        return f"{_number(len(events))} different messages with the same key, {ids}"
    groups = list(dict.fromkeys(ledger.owners[code] for code in ledger.what[rows].tolist()))
    if len(groups) > 1:
        return f"the same message, handled by {joined(groups)}"
    about = np.flatnonzero(ledger.event == events[0])

    def count(codes: Flags) -> int:
        return int(codes[ledger.what[about]].sum())

    if count(ledger.wanted("published")) > 1:
        return f"the same message, published {often(count(ledger.wanted('published')))}"
    stored = ledger.stored_for(groups[0]) if groups[0] in ledger.reads else ledger.wanted("stored")
    if count(stored) > 1:
        doubled = ", for it was doubled on the way" if count(ledger.wanted("duplicated")) else ""
        return f"the same message, stored {often(count(stored))}{doubled}"
    delivered = count(ledger.wanted("delivered", group=groups[0]))
    if delivered < 2:
        return f"the same message, {often(len(rows))} in one handling"
    return f"the same message, delivered {often(delivered)}"


def _number(count: int) -> str:
    return "two" if count == 2 else str(count)


def due_and_missing(effects: Effects, of: str | None) -> Verdict:
    """The key for which the effect was due and never happened, though its event is dealt with or lost."""
    name = f"at least one {effects.title} per {effects.noun}"
    due = np.flatnonzero(_due(effects, of))
    if not len(due):
        return Verdict("unknown", name, (_nothing_due(effects, of),))
    satisfied = np.isin(effects.keys.labels[due], effects.labels)
    satisfied |= np.isin(due, effects.ledger.event[effects.rows])
    outcome = _outcome(effects)
    flows = Flows(effects.history, of) if of is not None else None
    if flows is not None:
        outcome.row[flows.any(flows.open)] = -1
        ended = np.flatnonzero((outcome.row < 0) & flows.any(flows.stuck >= 0) & ~flows.any(flows.open))
        outcome.row[ended] = _stuck_rows(flows, effects.history.event_count)[ended]
    labels, run = np.unique(effects.keys.labels[due], return_inverse=True)
    kept = np.bincount(run, satisfied, minlength=len(labels)) > 0
    open_ = (np.bincount(run, outcome.row[due] < 0, minlength=len(labels)) > 0) & ~kept
    broken = np.flatnonzero(~kept & ~open_)
    pending = under_way(int(open_.sum()))
    if not len(broken):
        if not kept.any():
            return Verdict("unknown", name, (f"nothing was due yet: {pending[0]}",))
        return Verdict("ok", name, pending)
    rows = np.bincount(effects.ledger.event[effects.ledger.event >= 0], minlength=effects.history.event_count)
    rows_of_key = np.bincount(run, rows[due], minlength=len(labels))
    first = np.full(len(labels), _NEVER)
    np.minimum.at(first, run, outcome.row[due])
    worst = broken[np.lexsort((first[broken], rows_of_key[broken]))[0]]
    event = int(due[run == worst][0])
    row = int(outcome.row[event])
    group = effects.ledger.owners[effects.ledger.what[row]]
    key, event_id = effects.keys.text(int(labels[worst])), effects.history.id_of(event)
    if flows is not None and (stuck := flows.stuck_at(event)) is not None:
        event_id, told = effects.history.id_of(stuck), flows.reason(stuck)
    else:
        told = "was " + fate_told(effects.ledger, group, Fate(int(outcome.fate[event])), row)
    lines = (f"{key}: never; {event_id} {told}", *others(len(broken) - 1, effects.noun), *pending)
    return Verdict("VIOLATED", name, lines, key, (event_id,), (float(effects.history.time[row]),))


def _stuck_rows(flows: Flows, count: int) -> Whole:
    """For each event that begins a flow, the row at which it got stuck for good, though others than its reader act."""
    rows = np.full(count, -1, dtype=np.int64)
    stuck = np.flatnonzero(flows.stuck >= 0)
    np.maximum.at(rows, flows.anchor[stuck], flows.stuck[stuck])
    return rows


def _due(effects: Effects, of: str | None) -> Flags:
    """The events for which the effect was due: of one type, or of the types that ever led to it.

    When nothing at all was ever done in the outside world, and no type is named, it was due for all that came from
    outside: for what publishers published.
    """
    history, ledger = effects.history, effects.ledger
    published = ledger.seen(ledger.rows("published"))
    template = history.table["template"]
    if of is not None:
        types = {of}
    elif len(effects.rows):
        events = ledger.event[effects.rows]
        used = np.unique(template[events[events >= 0]]).tolist()
        types = {history.templates[each].type for each in used}
    elif len(ledger.rows("effect")):
        types = set()
    else:
        return published & (effects.keys.causes == -1)
    of_type = np.array([each.type in types for each in history.templates], dtype=bool)
    return np.asarray(published & of_type[template], dtype=bool)


def _nothing_due(effects: Effects, of: str | None) -> str:
    if of is not None:
        types = dict.fromkeys(each.type for each in effects.history.templates)
        return f"no {of} was published{'' if of in types else did_you_mean(of, types)}"
    return "nothing was published" if not len(effects.ledger.rows("published")) else effects.never


def _outcome(effects: Effects) -> Fates:
    """For each event what became of it where the effect is brought about; row -1 while that is still open.

    Where it never was, any group that reads the event might have.
    """
    ledger = effects.ledger
    acting = dict.fromkeys(ledger.owners[code] for code in ledger.what[effects.rows].tolist())
    groups = [group for group in acting if group in ledger.reads] or ledger.groups
    fate = np.zeros(effects.history.event_count, dtype=np.int64)
    row = np.full(effects.history.event_count, -1, dtype=np.int64)
    waiting = np.zeros(effects.history.event_count, dtype=bool)
    for group in groups:
        found = fates(ledger, group)
        waiting |= found.fate == Fate.WAITING
        news = (row < 0) & (found.row >= 0)
        fate[news], row[news] = found.fate[news], found.row[news]
    row[waiting] = -1
    return Fates(fate, row)
