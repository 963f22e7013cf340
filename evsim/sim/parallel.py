"""A member that handles several events at once, and keeps the order of each key.

As Confluent's Parallel Consumer in its key mode: events wait in a line for each key, the first of each line may be
handled, and the offset that is committed lies before the first event that is not finished. What is finished beyond it
is memory: after a crash it comes again. A thread of its own goes on fetching, so that a slow handler never misses a
poll.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evsim.sim.broker.compaction import GAP
from evsim.sim.member import FETCH_AGAIN_S, Cursor, LiveMember

if TYPE_CHECKING:
    from evsim.sim.broker.partition import Partition

AHEAD = 10
"""A member holds at most so many events for each of its hands: the look-ahead past a key whose turn it is not."""


class WideCursor(Cursor):
    """Where a member stands that finishes events out of their order: all before ``position`` is done."""

    __slots__ = ("ahead", "done")

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        self.ahead = self.position
        """The offset to fetch next."""
        self.done: set[int] = set()
        """What is finished beyond the position."""

    def finish(self, offset: int) -> bool:
        """Note that an event is finished; True when the position has moved."""
        if offset < self.position:
            return False
        self.done.add(offset)
        if offset != self.position:
            return False
        while self.position in self.done:
            self.done.remove(self.position)
            self.position += 1
        return True

    def jump(self, offset: int) -> None:
        """All before this offset is done with, or gone."""
        self.position, self.ahead = max(self.position, offset), max(self.ahead, offset)
        self.done = {each for each in self.done if each > self.position}
        while self.position in self.done:
            self.done.remove(self.position)
            self.position += 1


class Item:
    """An event that a member holds: where it came from, and its key (an own one when it has none)."""

    __slots__ = ("cursor", "event", "key", "offset")

    def __init__(self, cursor: WideCursor, offset: int, event: int, key: Any) -> None:
        self.cursor, self.offset, self.event, self.key = cursor, offset, event, key


class Hand:
    """One of the handlings that go on at once; to a handler, it is the member."""

    __slots__ = ("_cursors", "cursor", "due", "event", "item", "left_s", "member", "ticket")

    def __init__(self, member: ParallelMember) -> None:
        self.member = member
        self.item: Item | None = None
        self.event = -1
        self.cursor: Cursor
        self.due = -1.0
        self.left_s: float | None = None
        self.ticket = 0
        self._cursors: dict[int, Cursor] = {}

    # ---------------------------------------------------------------- what a handling asks of a member

    @property
    def name(self) -> str:
        """The member's name."""
        return self.member.name

    @property
    def epoch(self) -> int:
        """The member's epoch."""
        return self.member.epoch

    @property
    def frozen(self) -> bool:
        """Whether the member is frozen."""
        return self.member.frozen

    @property
    def traps(self) -> list[Any]:
        """The faults that wait for the member."""
        return self.member.traps

    def hold(self, fn: Callable[[Any], Any], arg: Any) -> None:
        """Keep what has come until the member resumes."""
        self.member.hold(fn, arg)

    def trapped(self, step: str, event: int) -> bool:
        """Whether a fault was waiting at this step, and has struck."""
        self.member.cursor = self.cursor
        return self.member.trapped(step, event)

    def refuse(self, problem: Exception) -> bool:
        """A log knows no nack: False."""
        return False

    @property
    def attempt(self) -> int:
        """How often the event has been delivered to the group, this time included."""
        return self.member.group.attempts.get((self.cursor.partition.index, self.cursor.position), 1)

    def count_attempt(self) -> None:
        """The event is delivered to the group once more."""
        spot = (self.cursor.partition.index, self.cursor.position)
        attempts = self.member.group.attempts
        attempts[spot] = attempts.get(spot, 0) + 1

    # ---------------------------------------------------------------- one delivery

    def begin(self, item: Item) -> None:
        """Take an event."""
        partition = item.cursor.partition
        cursor = self._cursors.get(partition.index)
        if cursor is None:
            cursor = self._cursors[partition.index] = Cursor(self.member.world, self.member.name, partition, 0)
        cursor.position = item.offset
        self.item, self.event, self.cursor = item, item.event, cursor
        if self.member.passes_over(item):
            self._skip()
        elif self.member.handling is None:
            self.attempt_it()
        else:
            self._consider(self.member.epoch)

    def _consider(self, epoch: int) -> None:
        """Whether the event is due, and whether there is anything to do for it."""
        member = self.member
        if epoch != member.epoch:
            return
        if member.frozen:
            member.hold(self._consider, epoch)
            return
        handling = member.handling
        assert handling is not None
        if handling.dismisses(self, self.event):
            member.world.call_in(0.0, self._skipped, epoch)
            return
        early_s = handling.early_s(self, self.event)
        if early_s > 0:
            member.world.call_in(early_s, self._consider, epoch)
        elif handling.skips(self, self.event):
            self._skip()
        else:
            self.attempt_it()

    def _skip(self) -> None:
        world = self.member.world
        world.record(world.now, self.cursor.skipped, self.event, self.cursor.position)
        world.call_in(0.0, self._skipped, self.member.epoch)

    def _skipped(self, epoch: int) -> None:
        if epoch != self.member.epoch:
            return
        if self.member.frozen:
            self.member.hold(self._skipped, epoch)
            return
        self.finish()

    def attempt_it(self) -> None:
        """Begin to handle the event, for the first time or again."""
        world = self.member.world
        world.record(world.now, self.cursor.delivered, self.event, self.cursor.position)
        if self.traps and self.trapped("delivered", self.event):
            return
        self.due = world.now + self.member.service_s()
        world.call_at(self.due, self._served, self.ticket)

    def _served(self, ticket: int) -> None:
        """The service time is over: let the handler act, then pass the rest of the five steps."""
        if ticket != self.ticket:
            return
        self.due = -1.0
        event, member = self.event, self.member
        if member.handling is not None:
            member.handling.begin(self, event)
            return
        member.world.record(member.world.now, self.cursor.handled, event, self.cursor.position)
        if self.traps and any(self.trapped(step, event) for step in ("handled", "saved", "sent")):
            return
        self.finish()

    def finish(self) -> None:
        """The event is dealt with."""
        self.member.finished(self)

    # ---------------------------------------------------------------- what befalls it

    def forget(self) -> None:
        """What was in this hand is gone."""
        self.item, self.due, self.left_s = None, -1.0, None
        self.ticket += 1

    def pause(self, now: float) -> None:
        """Stop the work, and note how much is left of it."""
        if self.item is not None and self.due >= now:
            self.left_s = self.due - now
            self.ticket += 1

    def resume(self, now: float) -> None:
        """Go on with it."""
        if self.left_s is not None:
            self.due, self.left_s = now + self.left_s, None
            self.member.world.call_at(self.due, self._served, self.ticket)


class ParallelMember(LiveMember):
    """A member with ``parallel=n`` hands."""

    __slots__ = ("_fetching", "_free", "_lines", "_ready", "_room", "_source", "_start", "_wanted", "hands", "held")

    cursors: list[WideCursor]  # type: ignore[assignment]
    _source: WideCursor
    """The cursor of the partition that was asked last."""

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        count = self.group.value.parallel
        self.hands = [Hand(self) for _ in range(count)]
        self._room = AHEAD * count
        self._fetching = self._wanted = False
        self._start = 0
        self._clear()

    def _clear(self) -> None:
        """Hold nothing."""
        for hand in self.hands:
            hand.forget()
        self._free = self.hands[::-1]
        self._lines: dict[Any, deque[Item]] = {}
        self._ready: deque[Any] = deque()
        self.held = 0

    def service_s(self) -> float:
        """How long the next handling takes."""
        return self._service()

    def passes_over(self, item: Item) -> bool:
        """Whether the event is of a transaction that was aborted, which we do not want to see."""
        if self.group.value.isolation == "read_uncommitted":
            return False
        return bool(self._log.isolation.aborted(item.cursor.partition, item.offset))

    # ---------------------------------------------------------------- fetching

    @property
    def in_a_batch(self) -> bool:
        """Never too late for a poll: fetching goes on whatever the hands do."""
        return False

    def _handling_now(self) -> bool:
        return len(self._free) < len(self.hands)

    def _read_positions(self, share: list[Partition]) -> None:
        self.cursors = [WideCursor(self.world, self.name, p, self.group.begin_of(p)) for p in share]
        self._turn = 0
        self._clear()

    def fetch(self) -> None:
        """Fetch as long as there is room, and anything to fetch."""
        self.idle, self._wanted = False, True
        if self._fetching:  # what is asked for may come at once, and want more
            return
        self._fetching = True
        while self._wanted:
            self._wanted = False
            while self.up and not self.busy and not self.giving_up and self.held < self._room and self._ask():
                pass
        self._fetching = False

    def look(self) -> None:
        """The bell has rung."""
        self.fetch()

    def _ask(self) -> bool:
        """Ask for the next events of the next partition that has any; False when there is no use in asking again."""
        if self.generation != self.group.generation:
            if not self._handling_now():
                self.appear()
            return False
        found = next((each for each in self.cursors_in_turn() if self._skip(each) < self.visible(each)), None)
        if found is None or found.partition.offline or not self._log.up or self.cut_off:
            self.idle = True
            return False
        self.busy, self.cursor, self._source, self._start = True, found, found, found.ahead
        self._turn = (self.cursors.index(found) + 1) % len(self.cursors)
        skip = found.ahead - found.partition.start
        most = min(self._prefetch, self._room - self.held)
        self.batch = found.partition.events[skip : min(skip + most, self.visible(found))]
        if not self._send(self._arrive, self.epoch, self.batch[0]):
            self.world.call_in(FETCH_AGAIN_S, self._fetch_again, self.epoch)
        return True

    def cursors_in_turn(self) -> list[WideCursor]:
        """Our partitions, beginning behind the one that was read last."""
        return self.cursors[self._turn :] + self.cursors[: self._turn]

    def _skip(self, cursor: WideCursor) -> int:
        """How many events of the partition lie before the next one; what retention deleted is passed over."""
        partition = cursor.partition
        if cursor.ahead < partition.start:
            cursor.jump(self.group.reset(partition))
        return int(cursor.ahead - partition.start)

    def visible(self, cursor: Cursor) -> int:
        """How many events of the partition we may see."""
        partition = cursor.partition
        if self.group.value.isolation == "read_uncommitted":
            return len(partition.events)
        return self._log.isolation.stable(partition) - partition.start

    def arrive(self, epoch: int) -> None:
        """What was fetched has come: each event into the line of its key."""
        if epoch != self.epoch or not self.busy:
            return
        if self.frozen:
            self.hold(self._arrive, epoch)
            return
        self.busy = False
        cursor, batch, moved = self._source, self.batch, False
        for offset, event in enumerate(batch, start=self._start):
            if offset < cursor.ahead:
                continue
            if event == GAP:
                moved = cursor.finish(offset) or moved
                continue
            self._line_up(Item(cursor, offset, event, self._key_of(event)))
        cursor.ahead = max(cursor.ahead, self._start + len(batch))
        if moved:
            self._acknowledge(cursor)
        self._begin_all()
        self.fetch()

    def _key_of(self, event: int) -> Any:
        stem, number = self.world.history.key_parts(event)
        return object() if stem is None else (stem, number)

    def _line_up(self, item: Item) -> None:
        self.held += 1
        line = self._lines.get(item.key)
        if line is None:
            self._lines[item.key] = deque([item])
            self._ready.append(item.key)
        else:
            line.append(item)

    def _begin_all(self) -> None:
        """Give the first of each line to a hand that is free."""
        epoch = self.epoch
        while self._free and self._ready and self.up and not self.giving_up and epoch == self.epoch:
            self._free.pop().begin(self._lines[self._ready.popleft()][0])

    # ---------------------------------------------------------------- finishing

    def finished(self, hand: Hand) -> None:
        """A hand is done with its event: acknowledge by the policy, let the next of its key come, and look on."""
        item = hand.item
        assert item is not None
        if self.group.watchers:
            self.group.tell(item.event)
        cursor = item.cursor
        if cursor.finish(item.offset):
            self._acknowledge(cursor)
            if self.traps and hand.trapped("acked", item.event):
                return
        self.held -= 1
        line = self._lines[item.key]
        line.popleft()
        if line:
            self._ready.append(item.key)
        else:
            del self._lines[item.key]
        if self._turnaround is None:
            self._put_down(hand)
        else:
            self.world.call_in(self._turnaround(), self._turned_round, (hand, self.epoch))

    def _turned_round(self, turning: tuple[Hand, int]) -> None:
        hand, epoch = turning
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._turned_round, turning)
            return
        self._put_down(hand)

    def _put_down(self, hand: Hand) -> None:
        hand.item = None
        self._free.append(hand)
        if self.giving_up:
            if not self._handling_now():
                self._release()
            return
        self._begin_all()
        self.fetch()

    def _acknowledge(self, cursor: WideCursor) -> None:
        whole = cursor.position == cursor.ahead
        if self._policy == "after" or (self._policy == "batch" and whole):
            self.commit(cursor, cursor.position)

    # ---------------------------------------------------------------- what befalls a member

    def _release(self) -> None:
        self._clear()  # first, for new partitions may come at once
        super()._release()

    def _forget(self) -> None:
        self._clear()
        super()._forget()

    def position_of(self, partition: Partition) -> int:
        """The offset that this member will ask for next."""
        for cursor in self.cursors:
            if cursor.partition is partition:
                return int(cursor.ahead)
        return self.group.committed[partition.index]

    def fall_back(self, partition: Partition, offset: int) -> None:
        """The partition ends earlier now: what we hold of it no longer counts for its position."""
        for index, cursor in enumerate(self.cursors):
            if cursor.partition is partition:
                self.cursors[index] = WideCursor(self.world, self.name, partition, min(cursor.position, offset))

    def paused(self) -> None:
        """Work stops where it is; the group hears nothing more."""
        for hand in self.hands:
            hand.pause(self.world.now)
        super().paused()

    def resumed(self) -> None:
        """Every hand goes on with what it had begun."""
        for hand in self.hands:
            hand.resume(self.world.now)
        if self._handling_now():
            self.silences += 1
            self.fetch()
        else:
            super().resumed()

    def healed(self) -> None:
        """The link to the log is whole again; an acknowledgement may have been lost."""
        self.commit_again()
        if self._handling_now():
            self.silences += 1
            self.fetch()
        else:
            super().healed()
