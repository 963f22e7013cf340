"""A member of a consumer group at work: fetch, handle, commit, one event at a time."""

from __future__ import annotations

from heapq import heappush
from typing import TYPE_CHECKING, Any, ClassVar

from simpy.events import NORMAL

from evsim.sim.node import Node

if TYPE_CHECKING:
    from evsim.sim.broker.partition import Partition
    from evsim.sim.group import LiveGroup
    from evsim.sim.handling import Handling
    from evsim.sim.world import World

FETCH_AGAIN_S = 0.5
"""A fetch whose answer was lost is sent again after this time (Kafka's fetch.max.wait.ms)."""


class Cursor:
    """Where a member stands in one partition, and the codes of all that it records there."""

    __slots__ = (
        "acked",
        "delivered",
        "failed",
        "handled",
        "partition",
        "place",
        "position",
        "saved",
        "sent",
        "skipped",
    )

    def __init__(self, world: World, member: str, partition: Partition, position: int) -> None:
        self.partition, self.position = partition, position
        self.place = place = partition.place
        code = world.history.code
        self.delivered, self.handled = code("delivered", member, place), code("handled", member, place)
        self.saved, self.sent = code("saved", member, place), code("sent", member, place)
        self.acked, self.skipped = code("acked", member, place), code("skipped", member, place)
        self.failed = code("failed", member, place)


class LiveMember(Node):
    """One member. Its memory (cursors, the batch in hand) is lost in a crash; the group's is not."""

    __slots__ = (
        "_arrive",
        "_back",
        "_call_at",
        "_due",
        "_every_s",
        "_ids",
        "_left_s",
        "_link",
        "_log",
        "_policy",
        "_prefetch",
        "_queue",
        "_record",
        "_send",
        "_served",
        "_service",
        "_ticket",
        "_turn",
        "_turnaround",
        "at",
        "batch",
        "busy",
        "cursor",
        "cursors",
        "event",
        "generation",
        "giving_up",
        "group",
        "handling",
        "idle",
        "leaving",
        "number",
        "polled_at",
        "silences",
        "silent_at",
        "traps",
        "waiting",
    )

    sees_all: ClassVar[bool] = True
    """Whether we read what is not committed, too."""

    def __init__(self, world: World, name: str, number: int, group: LiveGroup, handling: Handling | None) -> None:
        super().__init__(world, name)
        value = group.value
        self.number, self.group, self.handling = number, group, handling
        self.idle = False
        self.busy = False
        self.waiting = False
        self.giving_up = False
        self.leaving = False
        self.silences = 0
        self.polled_at = self.silent_at = world.now
        self.generation = 0
        self.cursors: list[Cursor] = []
        self.cursor: Cursor
        self.batch: list[int] = []
        self.at = 0
        self.event = -1
        self.traps: list[Any] = []
        self._turn = 0
        self._ticket = 0
        self._due = -1.0
        self._left_s: float | None = None
        self._prefetch = value.prefetch or 1_000_000
        self._log = group.log
        self._link = world.link(group.log.name, name)
        self._send = self._link.send
        self._back = world.link(name, group.log.name)
        self._service = world.draws(f"{name} service", value.service_s)
        self._turnaround = world.draws(f"{name} turnaround", value.turnaround_s) if value.has_turnaround else None
        self._policy = value.commit if isinstance(value.commit, str) else "timer"
        self._every_s = 0.0 if isinstance(value.commit, str) else value.commit.every_s
        self._record = world.record
        self._call_at = world.call_at
        self._queue: list[Any] = world._queue
        self._ids = world._eid.__next__
        self._arrive, self._served = self.arrive, self.served
        world.live[name] = self

    # ---------------------------------------------------------------- ownership

    @property
    def is_silent(self) -> bool:
        """Whether the group hears nothing of this member."""
        return self.down or self.frozen or self.cut_off

    @property
    def cut_off(self) -> bool:
        """Whether the way to the log or back is cut."""
        return self._link.cut > 0 or self._back.cut > 0

    def give_up(self) -> None:
        """Hand the partitions back: at once when nothing is being handled, else after that."""
        if self.waiting:
            return
        self.giving_up = True
        if not self.is_silent and not self._handling_now():
            self._release()

    def _handling_now(self) -> bool:
        return self.busy and self.at >= 0

    def _release(self) -> None:
        """Commit what is done, drop the rest of the batch, and say that all is handed over."""
        if self._policy != "before":
            self._commit_all()
        self.epoch += 1
        self.busy = self.idle = self.giving_up = False
        for cursor in self.cursors:
            self.note("revoked", cursor.partition.place, self.generation)
        self.cursors = []
        self._say_ready(self.epoch)

    def _say_ready(self, epoch: int) -> None:
        """Tell the group, behind the commits on the same link; a message that is lost is sent again."""
        if epoch == self.epoch and not self._back.send(self._is_ready, epoch):
            self.world.call_in(FETCH_AGAIN_S, self._say_ready, epoch)

    def _is_ready(self, epoch: int) -> None:
        """At the group; what was said before the newest assignment does not count any more."""
        if self.leaving:
            self.group.leave(self)
        elif epoch == self.epoch:
            self.group.ready(self)

    def leave(self) -> None:
        """Say goodbye: finish what is in hand, commit it, and be gone for good."""
        if self.group.has(self):
            self.leaving = True
            self.give_up()

    def take(self, share: list[Partition], generation: int) -> None:
        """Own these partitions from now on, from where the group has committed; who is down reads that later."""
        self.waiting = self.giving_up = False
        self.generation = generation
        self.epoch += 1
        if not self.down:
            self._read_positions(share)
        for partition in share:
            self.note("assigned", partition.place, generation)
        if not self.down:
            self._go()

    def _read_positions(self, share: list[Partition]) -> None:
        self.cursors = [Cursor(self.world, self.name, p, self.group.begin_of(p)) for p in share]
        self._turn = 0

    def _go(self) -> None:
        if self._every_s:
            self.world.plan_in(self._every_s, self._tick, self.epoch)
        self.fetch()

    @property
    def in_a_batch(self) -> bool:
        """Whether we have fetched and not yet finished what came."""
        return self._handling_now()

    def position_of(self, partition: Partition) -> int:
        """The offset that this member will ask for next."""
        for cursor in self.cursors:
            if cursor.partition is partition:
                in_hand = len(self.batch) - max(self.at, 0) if self.busy and cursor is self.cursor else 0
                return cursor.position + in_hand
        return self.group.committed[partition.index]

    def fall_back(self, partition: Partition, offset: int) -> None:
        """Go on at an offset that lies before ours: what we had come to is lost."""
        for cursor in self.cursors:
            if cursor.partition is partition:
                cursor.position = min(cursor.position, offset)

    # ---------------------------------------------------------------- one delivery

    def fetch(self) -> None:
        """Look for work, if we may: a member that is down, busy or about to give up its partitions may not."""
        self.idle = False
        if self.up and not self.busy and not self.giving_up:
            self.look()

    def look(self) -> None:
        """Fetch the next events of the next partition that has any; wait for the bell when none has."""
        if self.generation != self.group.generation:
            self.appear()
            return
        for cursor in self.cursors if self._turn == 0 else self._in_turn():
            partition = cursor.partition
            skip = cursor.position - partition.start
            if skip < 0:
                skip = self._reset(cursor)
            if skip < len(partition.events) and (self.sees_all or skip < self.visible(cursor)):
                break
        else:
            self.idle = True
            return
        if partition.offline or not self._log.up or self._link.cut or self._back.cut:
            self.idle = True
            return
        self.idle, self.busy = False, True
        self.cursor, self.at = cursor, -1
        if len(self.cursors) > 1:
            self._turn = self.cursors.index(cursor) + 1
        first = partition.events[skip]
        if self._prefetch == 1:
            self.batch = [first]
        else:
            most = skip + self._prefetch
            self.batch = partition.events[skip : most if self.sees_all else min(most, self.visible(cursor))]
        if not self._send(self._arrive, self.epoch, first):
            self.world.call_in(FETCH_AGAIN_S, self._fetch_again, self.epoch)

    def visible(self, cursor: Cursor) -> int:
        """How many events of the partition we may see."""
        return len(cursor.partition.events)

    def _in_turn(self) -> list[Cursor]:
        """Our partitions, beginning behind the one that was read last: each gets its turn."""
        return self.cursors[self._turn :] + self.cursors[: self._turn]

    def _reset(self, cursor: Cursor) -> int:
        """Retention has passed us while we were at work: go on where ``auto_offset_reset`` says."""
        partition = cursor.partition
        cursor.position = self.group.reset(partition)
        return cursor.position - partition.start

    def _fetch_again(self, epoch: int) -> None:
        if epoch == self.epoch:
            self.busy = False
            self.fetch()

    def arrive(self, epoch: int) -> None:
        """What was fetched has come."""
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._arrive, epoch)
            return
        self.polled_at = self.world._now
        if self._policy == "before":
            self._commit_first(epoch)
        else:
            self.at = 0
            self._begin()

    def watch_arrivals(self) -> None:
        """Have faults that wait for a poll look at each arrival."""
        self._arrive = self._arrive_watched

    def _arrive_watched(self, epoch: int) -> None:
        if epoch != self.epoch or self.frozen or not self.trapped("polled", self.batch[0]):
            self.arrive(epoch)

    def _commit_first(self, epoch: int) -> None:
        """Have the batch acknowledged before it is touched; only when the log has confirmed it may the work begin."""
        if epoch == self.epoch and not self._back.send(self._at_the_log, epoch):
            self.world.call_in(FETCH_AGAIN_S, self._commit_first, epoch)

    def _at_the_log(self, epoch: int) -> None:
        if self._log.frozen:
            self._log.hold(self._at_the_log, epoch)
        elif epoch != self.epoch:
            return
        elif self._log.down:
            self.world.call_in(FETCH_AGAIN_S, self._commit_first, epoch)
        else:
            upto = self.cursor.position + len(self.batch)
            taken = self.group.commit((self, self.generation, self.cursor, upto))
            if taken and not self._send(self._confirmed, epoch):
                self.world.call_in(FETCH_AGAIN_S, self._commit_first, epoch)

    def _confirmed(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._confirmed, epoch)
            return
        self.at = 0
        self._begin()

    def _begin(self) -> None:
        self.event = self.batch[self.at]
        if self.handling is None:
            self.attempt_it()
        else:
            self._consider(self.epoch)

    def _consider(self, epoch: int) -> None:
        """Whether the event is due, and whether there is anything to do for it."""
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._consider, epoch)
            return
        handling, event = self.handling, self.event
        assert handling is not None
        if handling.dismisses(self, event):
            self.world.call_in(0.0, self._skipped, epoch)
            return
        early_s = handling.early_s(self, event)
        if early_s > 0:
            self.world.call_in(early_s, self._consider, epoch)
        elif handling.skips(self, event):
            self._record(self.world._now, self.cursor.skipped, event, self.cursor.position)
            self.world.call_in(0.0, self._skipped, epoch)
        else:
            self.attempt_it()

    def attempt_it(self) -> None:
        """Begin to handle the event in hand, for the first time or again."""
        cursor, event, now = self.cursor, self.event, self.world._now
        self._record(now, cursor.delivered, event, cursor.position)
        if self.traps and self.trapped("delivered", event):
            return
        self._due = due = now + self._service()
        heappush(self._queue, (due, NORMAL, self._ids(), self._served, self._ticket))

    def _skipped(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._skipped, epoch)
            return
        self.finish()

    def served(self, ticket: int) -> None:
        """The service time is over: let the handler act, then pass the rest of the five steps."""
        if ticket != self._ticket:
            return
        event = self.event
        if self.handling is not None:
            self._due = -1.0
            self.handling.begin(self, event)
            return
        cursor = self.cursor
        self._record(self.world._now, cursor.handled, event, cursor.position)
        if self.traps and any(self.trapped(step, event) for step in ("handled", "saved", "sent")):
            return
        self.finish()

    def trapped(self, step: str, event: int) -> bool:
        """Whether a fault was waiting at this step, and has struck."""
        return any(trap.springs(step, self, event) for trap in self.traps)

    @property
    def attempt(self) -> int:
        """How often the event in hand has been delivered to the group, this time included."""
        return self.group.attempts.get((self.cursor.partition.index, self.cursor.position), 1)

    def count_attempt(self) -> None:
        """The event in hand is delivered to the group once more."""
        spot = (self.cursor.partition.index, self.cursor.position)
        self.group.attempts[spot] = self.group.attempts.get(spot, 0) + 1

    def refuse(self, problem: Exception) -> bool:
        """A log knows no nack: False."""
        return False

    def finish(self) -> None:
        """The event is dealt with: move the position, acknowledge by the policy, turn to the next."""
        cursor = self.cursor
        cursor.position += 1
        if self.group.watchers:
            self.group.tell(self.event)
        if self._policy == "after":
            self.commit(cursor, cursor.position)
        if self.traps and self.trapped("acked", self.event):
            return
        self.at += 1
        if self.giving_up:
            self._release()
            return
        if self.at < len(self.batch):
            self._begin()
            return
        if self._policy == "batch":
            self.commit(cursor, cursor.position)
        self.at = -1
        if self._turnaround is None:
            self.busy = False
            self.look()
        else:
            self._call_at(self.world.now + self._turnaround(), self._turned, self.epoch)

    def _turned(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._turned, epoch)
            return
        self.busy = False
        self.fetch()

    # ---------------------------------------------------------------- acknowledging

    def commit(self, cursor: Cursor, upto: int) -> None:
        """Ask the group to note that all before ``upto`` is done; nobody waits for the answer."""
        self._back.send(self.group.commit, (self, self.generation, cursor, upto))

    def _commit_all(self) -> None:
        for cursor in self.cursors:
            if cursor.position > self.group.committed[cursor.partition.index]:
                self.commit(cursor, cursor.position)

    def commit_again(self) -> None:
        """The log was away, and with it maybe our last acknowledgement."""
        if self.up and self._policy in {"after", "batch"} and not self.cut_off:
            self._commit_all()

    def _tick(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._tick, epoch)
            return
        self._commit_all()
        self.world.plan_in(self._every_s, self._tick, epoch)

    def fenced(self, cursor: Cursor, upto: int) -> None:
        """The group has refused a commit: somebody else owns the partition now. Join again."""
        self.note("fenced", cursor.partition.place, upto)
        self.put_out()

    def put_out(self) -> None:
        """The group does not count on us any more."""
        if not self.down:
            self.world.call_in(0.0, self._join_again, self.epoch)

    def _join_again(self, epoch: int) -> None:
        if epoch != self.epoch or self.is_silent or self.group.has(self):
            return
        self._forget()
        self.group.join(self)

    def _forget(self) -> None:
        self.epoch += 1
        self.cursors, self.batch = [], []
        self._ticket += 1
        self._left_s = None
        self.busy = self.idle = self.giving_up = self.waiting = False

    # ---------------------------------------------------------------- what befalls a member

    def crashed(self) -> None:
        """Cursors and the batch in hand were memory; the group notices the silence after its session timeout."""
        if self.handling is not None:
            self.handling.crashed(self)
        self._forget()
        self.group.silent(self)

    def restarted(self) -> None:
        """Within the session timeout the partitions are still ours; later we are a newcomer."""
        self.silences += 1
        self.epoch += 1
        if self.handling is not None:
            self.handling.restarted(self)
        if not self.group.value.static and self.group.has(self) and not self.leaving:
            self._forget()
            self.group.reborn(self)
        self.appear()

    def paused(self) -> None:
        """Work stops where it is; the group hears nothing more."""
        self.idle = False
        if self._handling_now() and self._due >= self.world.now:
            self._left_s = self._due - self.world.now
            self._ticket += 1
        self.group.silent(self)

    def resumed(self) -> None:
        """If nobody has taken over meanwhile, go on; a zombie will learn it from a refused commit or an empty fetch."""
        self.silences += 1
        if self._left_s is not None:
            self._due = self.world.now + self._left_s
            self._left_s = None
            self._call_at(self._due, self._served, self._ticket)
        if not self.busy:
            self.appear()
        elif self.giving_up and not self._handling_now():
            self._release()

    def appear(self) -> None:
        """Show up at the group again."""
        if self.is_silent or self.waiting:
            return
        if self.leaving:
            if self.group.has(self):
                self._release()
        elif not self.group.has(self):
            self._forget()
            self.group.join(self)
        elif self.group.preparing:
            self._release()
        elif not self.cursors:
            share = [p for p in self._log.partitions if self.group.owners[p.index] is self]
            self._read_positions(share)
            self._go()
        else:
            self.fetch()

    def cut(self) -> None:
        """The link to the log is cut."""
        self.group.silent(self)

    def healed(self) -> None:
        """The link to the log is whole again."""
        self.silences += 1
        if not self.busy and not self.cut_off:
            self.appear()
