"""A replicated partition: a leader, followers that fetch from it, and what is left of it when machines die.

Semantics follow Kafka (https://kafka.apache.org/documentation/#replication): consumers read below the high watermark,
the least end of all in-sync replicas; ``acks`` all waits for it, ``leader`` does not; a leader is elected from the
in-sync replicas, or, if that is allowed (unclean), from any that lives, and then acknowledged writes may be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.sim.broker.base import DISCONNECTED, Answer, Request
from evsim.sim.broker.compaction import GAP
from evsim.sim.broker.partition import Partition
from evsim.sim.node import Node

if TYPE_CHECKING:
    from evsim.sim.broker.log import LiveLog

Known = tuple[str, int | None, int]
"""Whose sequence numbers: the producer, its partition, its epoch."""
PREFER_S = 300.0
"""So often does Kafka give leadership back to the preferred replica (leader.imbalance.check.interval)."""
_CONFIRMED = Answer(True)
_TOO_FEW = Answer(False, "not_enough_replicas")
_TOO_FEW_AFTER = Answer(False, "not_enough_replicas_after_append")


class Machine(Node):
    """One of the machines that keep the replicas of a log. Its disk survives, unless the power fails."""

    def __init__(self, log: LiveLog, number: int) -> None:
        super().__init__(log.world, f"{log.name}-{number}")
        self.log, self.number = log, number
        self.silences = 0
        self.dark = False
        log.world.live[self.name] = self

    def lose_power(self) -> None:
        """What was written and not flushed is gone; called when the machine crashes with its power."""
        self.dark = True
        for partition in self.log.replicated:
            partition.lose_power(self.number - 1)

    def crashed(self) -> None:
        """The others notice after the session timeout."""
        self._fell_silent()

    def paused(self) -> None:
        """So they do of a machine that does not answer."""
        self._fell_silent()

    def _fell_silent(self) -> None:
        self.silences += 1
        for partition in self.log.replicated:
            partition.stopped(self.number - 1)
        self.world.plan_in(self.log.value.failover_s, self._missed, self.silences)

    def _missed(self, silence: int) -> None:
        if silence == self.silences and not self.up:
            for partition in self.log.replicated:
                partition.fence(self.number - 1)

    def restarted(self) -> None:
        """Catch up."""
        self.dark = False
        self._back()

    def resumed(self) -> None:
        """Go on, as leader if nobody else was elected."""
        self._back()

    def _back(self) -> None:
        self.silences += 1
        for partition in self.log.replicated:
            partition.returned(self.number - 1)


class Replica:
    """One copy of a partition: its events, how many of them are flushed, and since when it has not been caught up."""

    __slots__ = ("asked_at", "base", "behind_since", "events", "fetching", "flushed", "machine", "watched")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.events: list[int] = []
        self.base = self.flushed = 0
        self.fetching = 0
        self.behind_since: float | None = None
        self.asked_at = 0.0
        self.watched = False

    @property
    def end(self) -> int:
        """The offset behind its last event."""
        return self.base + len(self.events)

    def cut_to(self, end: int) -> list[tuple[int, int]]:
        """Drop what lies at or behind this offset; the offsets and events that were dropped."""
        keep = max(0, end - self.base)
        gone = list(enumerate(self.events[keep:], start=self.base + keep))
        del self.events[keep:]
        self.flushed = min(self.flushed, self.end)
        return gone


class ReplicatedPartition(Partition):
    """A partition with replicas. ``events`` are those below the high watermark: what consumers can see."""

    __slots__ = (
        "_batches",
        "_draw",
        "_pending",
        "_session",
        "_torn",
        "_vacant",
        "appended",
        "epoch",
        "in_sync",
        "leader",
        "preferred",
        "replicas",
    )

    def __init__(self, log: LiveLog, index: int) -> None:
        super().__init__(log, index)
        self.replicas = [Replica(machine) for machine in log.machines]
        self.preferred = index % len(self.replicas)
        self.leader: int | None = self.preferred
        self.in_sync = set(range(len(self.replicas)))
        self._vacant = False
        self.epoch = self.appended = 0
        self._pending: list[tuple[int, Request]] = []
        self._torn: dict[int, int] = {}
        self._batches: list[tuple[int, Known, int]] = []
        self._draw = log.world.draws(f"{self.place} replication", log.value.replication_s)
        self._session = 0
        value = log.value
        if value.flush_every_s is not None:
            log.world.plan_in(value.flush_every_s, self._flush_on_time)

    # ---------------------------------------------------------------- publish

    @property
    def offline(self) -> bool:  # type: ignore[override]
        """Whether nobody leads it who is up."""
        return self.leader is None or not self.replicas[self.leader].machine.up

    @property
    def leader_end(self) -> int:
        """The offset that the next event will get at the leader."""
        return self.replicas[self.leader or 0].end

    def store(self, event: int) -> None:
        """Append an event at the leader, asking nothing."""
        if self.offline:
            self._turn_away(event)
            return
        self._append([event])

    def _turn_away(self, event: int) -> None:
        leader = None if self.leader is None else self.replicas[self.leader].machine
        if leader is not None and leader.frozen:
            leader.hold(self._store_held, (self.epoch, event), came=True)
        else:
            world = self._world
            world.record(world.now, world.history.code("dropped", self._log.name), event, 0)

    def _store_held(self, held: tuple[int, int]) -> None:
        """A leader has thawed; if another leads meanwhile, it turns away what it held."""
        epoch, event = held
        if epoch == self.epoch:
            self.store(event)
        else:
            world = self._world
            world.record(world.now, world.history.code("dropped", self._log.name), event, 0)

    def _take_held(self, held: tuple[int, Request]) -> None:
        epoch, request = held
        if epoch == self.epoch:
            self._log.take(request)

    def take(self, request: Request) -> None:
        """Append a batch; confirm it when its ``acks`` are satisfied. A leader that is down says nothing."""
        if self.offline:
            self._not_there(request)
            return
        if request.acks == "all" and len(self.in_sync) < self._log.value.min_insync_replicas:
            request.reply(_TOO_FEW)
            return
        if request.sequence >= 0:
            known = (request.producer, request.partition, request.epoch)
            self._batches.append((self.replicas[self.leader or 0].end, known, request.sequence))
        self._append(request.events)
        if request.acks != "all":
            request.reply(_CONFIRMED)
            return
        self.await_replicas(request)

    def _not_there(self, request: Request) -> None:
        """Nobody leads: a frozen leader answers when it thaws, one whose process died hangs up."""
        leader = None if self.leader is None else self.replicas[self.leader].machine
        if leader is not None and leader.frozen:
            leader.hold(self._take_held, (self.epoch, request))
        elif request.acks == "none":
            for event in request.events:
                self._turn_away(event)
        elif leader is None or not leader.dark:
            request.reply(DISCONNECTED)

    def await_replicas(self, request: Request) -> None:
        """Confirm this request when all in-sync replicas have what the leader has now."""
        leader = self.replicas[self.leader or 0]
        if self.offline:
            self._not_there(request)
            return
        if len(self.in_sync) < self._log.value.min_insync_replicas:
            request.reply(_TOO_FEW)
        elif leader.end <= self.end:
            request.reply(_CONFIRMED)
        else:
            self._pending.append((leader.end, request))

    def _append(self, events: list[int]) -> None:
        leader = self.replicas[self.leader or 0]
        world = self._world
        for event in events:
            self._record(world._now, self._stored, event, leader.end)
            leader.events.append(event)
        self.appended += len(events)
        if self._log.value.flush_every_events and leader.end - leader.flushed >= self._log.value.flush_every_events:
            leader.flushed = leader.end
        for number in range(len(self.replicas)):
            self._fetch(number)
        self._advance()

    # ---------------------------------------------------------------- replication

    def _fetch(self, number: int) -> None:
        """A follower asks for what it has not got; one fetch at a time is under way."""
        if self.leader is None or number == self.leader or self.offline:
            return
        follower, leader = self.replicas[number], self.replicas[self.leader]
        if follower.fetching or not follower.machine.up or follower.end >= leader.end:
            return
        follower.asked_at = self._world.now
        if follower.behind_since is None:
            follower.behind_since = follower.asked_at
            self._watch_lag(number)
        self._session += 1
        follower.fetching = self._session
        self._world.call_in(self._draw(), self._fetched, (number, self._session, self.epoch, leader.end))

    def _fetched(self, answer: tuple[int, int, int, int]) -> None:
        number, session, epoch, end = answer
        follower = self.replicas[number]
        if follower.fetching != session:
            return
        follower.fetching = 0
        link = None if self.leader is None else self._world.link(self._machine(self.leader).name, follower.machine.name)
        if epoch != self.epoch or self.offline or not follower.machine.up or (link is not None and link.cut):
            self._world.plan_in(self._log.value.replica_lag_time_max_s / 10, self._fetch_later, number)
            return
        leader = self.replicas[self.leader or 0]
        follower.events += leader.events[follower.end - leader.base : end - leader.base]
        every = self._log.value.flush_every_events
        if every and follower.end - follower.flushed >= every:
            follower.flushed = follower.end
        follower.behind_since = follower.asked_at  # it has now all that there was then
        if follower.end >= leader.end:
            follower.behind_since = None
        if (
            follower.end >= self.end
        ):  # up to the high watermark: then it may join the in-sync set (Kafka: maybeExpandIsr)
            self._join(number)
        self._advance()
        self._fetch(number)

    def _fetch_later(self, number: int) -> None:
        self._fetch(number)

    def _machine(self, number: int) -> Machine:
        return self.replicas[number].machine

    def _watch_lag(self, number: int) -> None:
        """Look at this follower when it has not been caught up for too long."""
        follower = self.replicas[number]
        if not follower.watched and follower.behind_since is not None:
            follower.watched = True
            due_s = follower.behind_since + self._log.value.replica_lag_time_max_s
            self._world.plan_at(max(due_s, self._world.now), self._too_slow, number)

    def _too_slow(self, number: int) -> None:
        """Out of the in-sync set, unless it has had meanwhile all that there was at some moment since then."""
        follower = self.replicas[number]
        follower.watched = False
        if follower.behind_since is None or number == self.leader:
            return
        if follower.behind_since + self._log.value.replica_lag_time_max_s <= self._world.now:
            self._leave(number)
        else:
            self._watch_lag(number)

    def _join(self, number: int) -> None:
        if number not in self.in_sync:
            self.in_sync.add(number)
            self._machine(number).note("expanded", self.place, self.epoch)

    def _leave(self, number: int) -> None:
        if number in self.in_sync and len(self.in_sync) > 1:
            self.in_sync.discard(number)
            self._machine(number).note("shrunk", self.place, self.epoch)
            self._advance()

    def _advance(self) -> None:
        """Move the high watermark to the least end of the in-sync replicas, and answer those who waited for it."""
        if self.leader is None:
            return
        leader = self.replicas[self.leader]
        mark = min(self.replicas[number].end for number in self.in_sync | {self.leader})
        if mark > self.end:
            self._show(leader.events[self.end - leader.base : mark - leader.base])
        enough = len(self.in_sync) >= self._log.value.min_insync_replicas
        while self._pending and (self._pending[0][0] <= self.end or not enough):
            _, request = self._pending.pop(0)
            request.reply(_CONFIRMED if enough else _TOO_FEW_AFTER)

    def _show(self, events: list[int]) -> None:
        """Consumers can see these now."""
        log = self._log
        self.events += events
        if log.retains:
            self.times += [self._world.now] * len(events)
            log.expire(self)
        for member in self.readers:
            if member.idle:
                member.look()

    def clear(self, offset: int) -> None:
        """Compaction has removed what stood at this offset, on every replica that has it."""
        super().clear(offset)
        for replica in self.replicas:
            if replica.base <= offset < replica.end:
                replica.events[offset - replica.base] = GAP

    def forget_before(self, offset: int) -> None:
        """Retention has deleted what lies before this offset, on every replica."""
        for replica in self.replicas:
            gone = min(max(0, offset - replica.base), len(replica.events))
            del replica.events[:gone]
            replica.base += gone

    # ---------------------------------------------------------------- who dies, who leads

    def stopped(self, number: int) -> None:
        """A machine has stopped: what it was about to fetch does not come."""
        self.replicas[number].fetching = 0
        if number == self.leader and self._pending:
            waiting, self._pending = self._pending, []
            self._world.call_in(0.0, self._hang_up, (self._machine(number), waiting))

    def _hang_up(self, broken: tuple[Machine, list[tuple[int, Request]]]) -> None:
        """The connections of a process that has died are closed; those of a machine without power are not."""
        machine, waiting = broken
        if machine.down and not machine.dark:
            for _, request in waiting:
                request.reply(DISCONNECTED)

    def fence(self, number: int) -> None:
        """The controller has given up on a machine: out of the in-sync set, and another leader if it led."""
        if number == self.leader:
            self._elect(number)
        else:
            self._leave(number)

    def _elect(self, dead: int) -> None:
        """Choose a leader among the in-sync replicas that live; else among all, if an unclean election is allowed."""
        alive = [n for n in self._order() if self._machine(n).up and n != dead]
        clean = [n for n in alive if n in self.in_sync]
        if clean:
            self._lead(clean[0], in_sync=set(self.in_sync) - {dead})
        elif alive and self._log.value.unclean_leader_election:
            self._lead(alive[0], in_sync={alive[0]})
        else:
            self._vacant = True

    def _order(self) -> list[int]:
        count = len(self.replicas)
        return [(self.preferred + n) % count for n in range(count)]

    def _lead(self, number: int, in_sync: set[int]) -> None:
        """This replica leads from now on, and its log is the truth: what only others had is lost."""
        old, self.leader, self._vacant = self.leader, number, False
        self.epoch += 1
        self.in_sync = {n for n in in_sync if self._machine(n).up} | {number}
        self._machine(number).note("elected", self.place, self.epoch)
        end = self.replicas[number].end
        self._lose_beyond(end, old)
        for other in range(len(self.replicas)):
            if other != number:
                self._follow(other)
        if end < self.end:
            self._hide(end)
        self._pending.clear()
        self._advance()
        self._ring()

    def _lose_beyond(self, end: int, old: int | None) -> None:
        """Record as lost what anybody had at or behind this offset, and have its sequence numbers used again."""
        gone = dict(enumerate(self.events, start=self.start))
        if old is not None:
            gone |= dict(enumerate(self.replicas[old].events, start=self.replicas[old].base))
        gone |= self._torn
        world = self._world
        code = world.history.code("lost", self._log.name, self.place)
        for offset in sorted(offset for offset, event in gone.items() if offset >= end and event != GAP):
            world.record(world.now, code, gone[offset], offset)
        self._torn.clear()
        while self._batches and self._batches[-1][0] >= end:
            _, known, first = self._batches.pop()
            self._log.sequences[known] = first

    def lose_power(self, number: int) -> None:
        """What this machine had not flushed is gone from its disk."""
        replica = self.replicas[number]
        gone = replica.cut_to(max(replica.flushed, replica.base))
        if number == self.leader:
            self._torn |= dict(gone)

    def _follow(self, number: int) -> None:
        """Drop what the leader has not got, and fetch the rest."""
        follower, leader = self.replicas[number], self.replicas[self.leader or 0]
        follower.cut_to(_common(follower, leader))
        follower.fetching = 0
        if follower.machine.up:
            self._fetch(number)
            if follower.end >= leader.end:
                self._join(number)

    def _hide(self, end: int) -> None:
        """Consumers had seen what is lost now: their positions lie behind the end, and are reset."""
        del self.events[max(0, end - self.start) :]
        del self.times[max(0, end - self.start) :]
        for group in self.groups:
            group.truncated(self, end)

    def returned(self, number: int) -> None:
        """A machine is back: it leads again if nobody else does and it may, else it follows."""
        replica = self.replicas[number]
        if self.leader == number:
            self._lead_again(replica)
        elif self._vacant:
            if number in self.in_sync or self._log.value.unclean_leader_election:
                self._lead(number, in_sync=set(self.in_sync) if number in self.in_sync else {number})
        elif not self.offline:
            self._follow(number)
            self._world.plan_in(PREFER_S, self._prefer, number)

    def _lead_again(self, replica: Replica) -> None:
        """The leader is back before anybody was elected: it goes on with what its disk has kept."""
        self._vacant = False
        end = replica.end
        self._lose_beyond(end, self.leader)
        if end < self.end:
            self._hide(end)
        for other in range(len(self.replicas)):
            if self.replicas[other] is not replica:
                self._follow(other)
        self._advance()
        self._ring()

    def _prefer(self, number: int) -> None:
        """Leadership goes back to the preferred replica when it is in sync again."""
        may = number == self.preferred and self.leader != number and number in self.in_sync and not self.offline
        if may and self._machine(number).up and self.replicas[number].end == self.replicas[self.leader or 0].end:
            self._lead(number, in_sync=set(self.in_sync))

    def _ring(self) -> None:
        for member in self.readers:
            if member.idle:
                member.fetch()

    # ---------------------------------------------------------------- the disk

    def _flush_on_time(self, _: Any = None) -> None:
        for replica in self.replicas:
            if replica.machine.up:
                replica.flushed = replica.end
        self._world.plan_in(self._log.value.flush_every_s or 1.0, self._flush_on_time)


def _common(one: Replica, other: Replica) -> int:
    """The offset up to which two replicas agree."""
    end = min(one.end, other.end)
    start = max(one.base, other.base)
    low = start
    for offset in range(start, end):
        if one.events[offset - one.base] != other.events[offset - other.base]:
            return offset
        low = offset + 1
    return max(low, start) if end > start else end
