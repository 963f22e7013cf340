"""What was promised, and whether it was kept.

A promise is a frozen value with ``judge(history)``; any function of a history that answers with a ``Verdict`` or a bool
is a promise too. *Per key* means: per event key, else per flow (the correlation id), else per event; an effect noted
with a ``key`` of its own counts for that one. Nothing that was merely under way when the run stopped breaks a promise.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from evsim.errors import BadScenario, shown
from evsim.history import History
from evsim.kinds import kind_of
from evsim.view.effects import Effects, due_and_missing, repeated
from evsim.view.endings import Ends
from evsim.view.fates import losses
from evsim.view.keys import Keys
from evsim.view.ledger import Ledger
from evsim.view.verdict import Verdict, fate_told, others


class Promise(Protocol):
    """Whatever can be judged by a history."""

    def judge(self, history: History) -> Verdict:
        """Whether it was kept."""


@dataclass(frozen=True)
class AtMostOnce:
    """An effect happens at most once for each key."""

    effect: str

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the key for which it happened the fewest times, but more than once."""
        return repeated(Effects(history, self.effect))


@dataclass(frozen=True)
class AtLeastOnce:
    """An effect happens at least once for each key for which it was due."""

    effect: str
    of: str | None = None

    def judge(self, history: History) -> Verdict:
        """VIOLATED with an event for which it was due, which is dealt with or lost, and had no effect."""
        return due_and_missing(Effects(history, self.effect), self.of)


@dataclass(frozen=True)
class ExactlyOnce:
    """An effect happens once for each key for which it was due: not twice, not never."""

    effect: str
    of: str | None = None

    def judge(self, history: History) -> Verdict:
        """As the two promises of which it is made; what happened too often is shown first."""
        effects = Effects(history, self.effect)
        most, least = repeated(effects), due_and_missing(effects, self.of)
        worst = most if most.state == "VIOLATED" or least.state == "ok" else least
        name = f"exactly one {effects.title} per {effects.noun}"
        return Verdict(worst.state, name, worst.lines or least.lines, worst.key, worst.event_ids, worst.times)


@dataclass(frozen=True)
class InOrderByKey:
    """Each group handles the events of a key in the order in which they were published.

    Consumers with the same ``group`` are looked at as one: one that reads a retry topic, and one that filled it.
    Judged by first handlings: an event that is handled again, or never, is out of place only for other promises.
    """

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first event that was handled after a younger one of its key."""
        ledger, keys = Ledger(history), Keys(history)
        published = ledger.first(ledger.rows("published"))
        worst: tuple[int, str, int, int] | None = None
        compared, families = 0, ledger.families()
        for group, members in families.items():
            handled = ledger.first(ledger.rows_of_all("handled", members))
            events = np.flatnonzero((handled >= 0) & (published >= 0))
            events = events[np.lexsort((handled[events], keys.labels[events]))]
            same = keys.labels[events[1:]] == keys.labels[events[:-1]]
            compared += int(same.sum())
            _, run = np.unique(keys.labels[events], return_inverse=True)
            latest = np.maximum.accumulate(run * (len(history) + 1) + published[events]) - run * (len(history) + 1)
            late = events[published[events] < latest]
            if len(late):
                event = int(late[np.argmin(handled[late])])
                younger = events[(keys.labels[events] == keys.labels[event]) & (published[events] > published[event])]
                first = int(younger[np.argmin(handled[younger])])
                worst = min(worst or (len(history), "", 0, 0), (int(handled[event]), group, event, first))
        noun = keys.noun(keys.labels)
        name = f"the events of one {noun} are handled in order"
        if worst is None:
            reason = () if compared else ("no group handled two events of one key",)
            return Verdict("ok" if compared else "unknown", name, reason)
        _, group, event, first = worst
        return self._witness(ledger, keys, name, (group, families[group], event, first))

    def _witness(self, ledger: Ledger, keys: Keys, name: str, found: tuple[str, list[str], int, int]) -> Verdict:
        group, members, event, younger = found
        history = ledger.history
        rows = ledger.rows_of_all("handled", members)
        handled = [int(rows[ledger.event[rows] == each][0]) for each in (younger, event)]
        published = [int(ledger.first(ledger.rows("published"))[each]) for each in (younger, event)]
        late, early = history.id_of(event), history.id_of(younger)
        key = keys.text(int(keys.labels[event]))
        times = [f"{ledger.time[row]:.3f} s" for row in (*handled, *published)]
        line = f"{key}: {group} handled {early} at {times[0]}, then {late} at {times[1]}: "
        line += f"published in the other order, at {times[2]} and {times[3]}"
        lines = (line, *self._why(ledger, members, event, younger))
        return Verdict("VIOLATED", name, lines, key, (late, early), tuple(float(ledger.time[row]) for row in handled))

    def _why(self, ledger: Ledger, members: list[str], event: int, younger: int) -> tuple[str, ...]:
        """Where the order was lost, if the log shows it."""
        moved = np.concatenate([ledger.moved_on(group) for group in members])
        waits = moved[ledger.event[moved] == event]
        if len(waits):
            again = ledger.places[ledger.what[waits[0]]]
            return (f"it was overtaken while it waited in {again} to be tried again",)
        stores = ledger.rows_of(ledger.stored_for(members[0]))
        rows = [stores[ledger.event[stores] == each] for each in (event, younger)]
        if not len(rows[0]) or not len(rows[1]):
            return ()
        late, early = int(rows[0][0]), int(rows[1][0])
        places = [ledger.places[ledger.what[row]] for row in (early, late)]
        if places[0] != places[1]:
            return (f"they lay in different partitions, {places[0]} and {places[1]}",)
        if ledger.number[early] < ledger.number[late]:
            return (f"overtaken on the way: stored as offsets {ledger.number[early]} and {ledger.number[late]}",)
        return (f"stored in the right order in {places[0]}, and handled in the other",)


@dataclass(frozen=True)
class NothingLost:
    """No published event is lost: each can still be handled by every group that reads its log, or has been."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the lost event of which the fewest rows tell."""
        ledger, keys = Ledger(history), Keys(history)
        name = "no event is lost"
        if not len(ledger.rows("published")):
            return Verdict("unknown", name, ("nothing was published",))
        found = losses(history)
        if not found:
            return Verdict("ok", name)
        about = ledger.event[ledger.event >= 0]
        rows = np.bincount(about, minlength=history.event_count)
        loss = min(found, key=lambda each: (int(rows[each.event]), each.row))
        told = fate_told(ledger, loss.group, loss.fate, loss.row)
        key, event_id = keys.text(int(keys.labels[loss.event])), history.id_of(loss.event)
        line = f"{event_id} ({key}): {told}" if key != event_id else f"{event_id}: {told}"
        lines = (line, *others(len(found) - 1, "lost event"))
        return Verdict("VIOLATED", name, lines, key, (event_id,), (float(history.time[loss.row]),))


@dataclass(frozen=True)
class Every:
    """All events of one type; what is promised about them follows: ``every("order.placed").ends``."""

    type: str

    @property
    def ends(self) -> Ends:
        """Each of them, and all that it causes, is handled by every group that reads it."""
        return Ends(self.type)

    def ends_in(self, *types: str) -> Ends:
        """Each of them leads to an event of one of these types: ``ends_in("order.completed", "order.cancelled")``."""
        for each in types:
            kind_of(each)
        if not types:
            raise BadScenario('ends_in needs the type in which it should end, such as ends_in("order.completed")')
        return Ends(self.type, types)


# -------------------------------------------------------------------- what users write


def at_most_once(effect: str) -> AtMostOnce:
    """No key has this effect twice."""
    return AtMostOnce(_named(effect, "at_most_once"))


def at_least_once(effect: str, of: str | None = None) -> AtLeastOnce:
    """No key for which this effect was due goes without it.

    It was due for every published event of the type ``of``; if that is not said, of the types that ever led to it.
    """
    return AtLeastOnce(_named(effect, "at_least_once"), of)


def exactly_once(effect: str, of: str | None = None) -> ExactlyOnce:
    """Both: each key for which this effect was due has it once."""
    return ExactlyOnce(_named(effect, "exactly_once"), of)


def in_order_by_key() -> InOrderByKey:
    """Each group handles the events of a key in the order in which they were published."""
    return InOrderByKey()


def nothing_lost() -> NothingLost:
    """No published event is lost."""
    return NothingLost()


def every(type: str) -> Every:  # noqa: A002
    """All events of one type, to promise something about."""
    kind_of(type)
    return Every(type)


def _named(effect: Any, promise: str) -> str:
    if not isinstance(effect, str) or not effect:
        raise BadScenario(
            f"{promise} was given {shown(effect)}; expected the name of an effect, such as 'card charged'"
        )
    return effect


def judge(promise: Any, history: History) -> Verdict:
    """Whether a promise was kept in this history: one of ours, or a function of the history."""
    if getattr(promise, "__module__", "").startswith("evsim.view.") and inspect.isfunction(promise):
        raise BadScenario(
            f"{promise.__name__} was given without being called; write {promise.__name__}(…), as in its help"
        )
    if isinstance(promise, Every):
        raise BadScenario(f'every("{promise.type}") promises nothing yet; say every("{promise.type}").ends')
    if hasattr(promise, "judge"):
        return promise.judge(history)
    if not callable(promise):
        raise BadScenario(
            f"{shown(promise)} is no promise; expected at_most_once('…') or another, or a function of the history"
        )
    name = getattr(promise, "__name__", type(promise).__name__).replace("_", " ")
    answer = promise(history)
    if isinstance(answer, Verdict):
        return answer
    if isinstance(answer, (bool, np.bool_)):
        return Verdict("ok" if answer else "VIOLATED", name)
    raise BadScenario(f"the check {name!r} answered {shown(answer)}; expected a Verdict, True or False")
