"""A consumer group: which member owns which partition, and how far the group has come.

The committed offsets belong to the group and live at the log; they survive every member. Each change of ownership
starts a new generation, and a commit that comes from an old one is refused (fenced), as in Kafka's group protocol.
Members keep their name over a restart, as with Kafka's static membership (``group.instance.id``): one that is back
within ``session_timeout_s`` finds its partitions as it left them.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from evsim.sim.broker.base import Shared
from evsim.sim.broker.compaction import GAP
from evsim.sim.broker.log import LiveLog
from evsim.sim.broker.partition import Partition
from evsim.sim.careful import CarefulMember
from evsim.sim.gaps import GapMember
from evsim.sim.member import LiveMember
from evsim.sim.parallel import ParallelMember

if TYPE_CHECKING:
    from evsim.sim.consumer import Consumer
    from evsim.sim.handling import Handling
    from evsim.sim.member import Cursor
    from evsim.sim.world import World


@functools.cache
def kind_of(manners: tuple[type[LiveMember], ...]) -> type[LiveMember]:
    """The kind of member that has all these manners."""
    return type("Member", manners, {"__slots__": ()}) if manners else LiveMember


class LiveGroup(Shared):
    """The group of one Consumer part at one log. All that it holds is durable."""

    def __init__(self, world: World, value: Consumer, log: LiveLog) -> None:
        super().__init__(world, value)
        self.log = log
        self.members: dict[str, LiveMember] = {}
        self.owners: list[LiveMember | None] = [None] * len(log.partitions)
        self.committed = [partition.end for partition in log.partitions]
        self.generation = 0
        self._present: list[LiveMember] = []
        self._preparing = False
        self._assigning = 0
        self._ghosts = 0
        self.asked: dict[str, set[int]] = {}
        self._since: dict[str, int] = {}
        log.enlist(self)
        if value.poll_interval_s < math.inf:
            world.plan_in(value.poll_interval_s, self._watch_polls)

    # ---------------------------------------------------------------- membership

    def member(self, name: str, number: int, handling: Handling | None) -> LiveMember:
        """A new member of this group, which has not joined yet."""
        kind = kind_of(tuple(self.manners()))
        return kind(self.world, name, number, self, handling)

    def manners(self) -> list[type[LiveMember]]:
        """What is special about our members."""
        if self.value.parallel > 1:
            return [ParallelMember]
        gaps, careful = self.log.value.compaction, self.value.isolation == "read_committed"
        return [*([GapMember] if gaps else []), *([CarefulMember] if careful else [])]

    def enroll(self, members: list[LiveMember]) -> None:
        """Let the first members join together: one assignment for all."""
        for member in members:
            self.members[member.name] = member
            self._present.append(member)
            member.note("joined", self.log.name, self.generation)
        self.rebalance()

    def join(self, member: LiveMember) -> None:
        """Let a member in, as new or again; it gets its share at the next assignment."""
        self.members[member.name] = member
        if member in self._present:
            return
        self._present.append(member)
        member.note("joined", self.log.name, self.generation)
        self.rebalance()

    def leave(self, member: LiveMember) -> None:
        """Let a member go that says goodbye: it has finished and committed what it had in hand."""
        if member in self._present:
            self._remove(member, "left")

    def expel(self, member: LiveMember) -> None:
        """Take a silent member for dead and give its partitions to the others."""
        self._remove(member, "expelled")

    def _remove(self, member: LiveMember, step: str) -> None:
        self._present.remove(member)
        for index, owner in enumerate(self.owners):
            if owner is member:
                self._give(self.log.partitions[index], None)
        member.note(step, self.log.name, self.generation)
        self.rebalance()

    def reborn(self, member: LiveMember) -> None:
        """A process that died is back under another id, and its old id is still counted on until its session ends.

        Nothing can be shared out before that (Kafka's dynamic members; see ``group.instance.id`` for static ones).
        """
        self._ghosts += 1
        self._since[member.name] = self.generation + 1
        late_s = member.silent_at + self.value.session_timeout_s
        self.world.plan_at(max(late_s, self.world.now), self._bury, member)
        for index, owner in enumerate(self.owners):
            if owner is member:
                self._give(self.log.partitions[index], None)
        member.waiting = True
        member.note("joined", self.log.name, self.generation)
        self.rebalance()

    def _bury(self, member: LiveMember) -> None:
        """The session of an old id has ended."""
        self._ghosts -= 1
        member.note("expelled", self.log.name, self.generation)
        self._assign_when_ready()

    def _watch_polls(self, _: None) -> None:
        """Who has not fetched for ``poll_interval_s`` is out: it may be at work, but it does not come on."""
        interval_s, now = self.value.poll_interval_s, self.world.now
        next_s = now + interval_s
        for member in list(self._present):
            if not member.in_a_batch or member.is_silent:
                continue
            if member.polled_at + interval_s <= now:
                self.expel(member)
            else:
                next_s = min(next_s, member.polled_at + interval_s)
        self.world.plan_at(next_s, self._watch_polls)

    def has(self, member: LiveMember) -> bool:
        """Whether the group counts on this member."""
        return member in self._present

    def silent(self, member: LiveMember) -> None:
        """No heartbeat comes from this member any more; unless it is heard of in time, it is expelled."""
        member.silences += 1
        member.silent_at = self.world.now
        self.world.plan_in(self.value.session_timeout_s, self._expire, (member, member.silences))

    def _expire(self, silence: tuple[LiveMember, int]) -> None:
        member, number = silence
        if member.silences == number and member.is_silent and self.has(member):
            self.expel(member)

    # ---------------------------------------------------------------- ownership

    @property
    def preparing(self) -> bool:
        """Whether a new assignment is under way and waits for members."""
        return self._preparing

    def rebalance(self) -> None:
        """Ask every member to finish what it has in hand; when all have, share the partitions out anew."""
        self._preparing = True
        self._assigning += 1
        for member in list(self._present):
            member.give_up()
        self._assign_when_ready()

    def ready(self, member: LiveMember) -> None:
        """A member has given up its partitions and waits for new ones; one that was put out learns it now."""
        if not self.has(member):
            member.put_out()
            return
        member.waiting = True
        self._assign_when_ready()

    def _assign_when_ready(self) -> None:
        if self._preparing and not self._ghosts and all(member.waiting for member in self._present):
            self._preparing = False
            if self.value.rebalance_s:
                self.world.call_in(self.value.rebalance_s, self._assign, self._assigning)
            else:
                self._assign(self._assigning)

    def _assign(self, assigning: int) -> None:
        """Share the partitions in ranges, in the order of the members' numbers (Kafka's range assignor)."""
        if assigning != self._assigning:
            return
        self.generation += 1
        members = sorted(self._present, key=lambda member: member.number)
        shares: dict[LiveMember, list[Partition]] = {member: [] for member in members}
        count = len(self.log.partitions)
        for partition in self.log.partitions if members else ():
            owner = members[_range_owner(partition.index, count, len(members))]
            self._give(partition, owner)
            shares[owner].append(partition)
        for member, share in shares.items():
            member.take(share, self.generation)

    def _give(self, partition: Partition, owner: LiveMember | None) -> None:
        """Change the owner of a partition: one member of this group at most reads it."""
        partition.readers = [member for member in partition.readers if member.group is not self]
        self.owners[partition.index] = owner
        if owner is not None:
            partition.readers.append(owner)

    # ---------------------------------------------------------------- progress

    def is_stale(self, member: LiveMember, generation: int, index: int) -> bool:
        """Whether an acknowledgement comes from an old generation, or from one who does not own the partition."""
        return generation != self.generation or self.owners[index] is not member

    def commit(self, request: tuple[LiveMember, int, Cursor, int]) -> bool:
        """Move the group's committed offset of a partition, unless the request comes from an old generation.

        True when the offset stands at ``upto`` or beyond now.
        """
        member, generation, cursor, upto = request
        if self.log.frozen:
            self.log.hold(self.commit, request)
            return False
        if self.log.down:
            return False
        index = cursor.partition.index
        if self.is_stale(member, generation, index):
            member.fenced(cursor, upto)
            return False
        start = self.committed[index]
        if upto <= start:
            return True
        self.committed[index] = upto
        if upto <= cursor.partition.start:  # done, and deleted meanwhile
            return True
        events, base, history = cursor.partition.events, cursor.partition.start, self.world.history
        first = max(start, base)
        if not self.log.value.compaction:
            history.record_run(self.world.now, cursor.acked, events[first - base : upto - base], first)
            return True
        for offset in range(first, upto):
            if events[offset - base] != GAP:
                self.world.record(self.world.now, cursor.acked, events[offset - base], offset)
        return True

    def begin_at_the_end(self) -> None:
        """A group that comes late, with ``auto_offset_reset="latest"``."""
        self.committed = [partition.end for partition in self.log.partitions]

    def discover(self, new: list[Partition]) -> None:
        """New partitions have been noticed: share them out too, beginning where ``auto_offset_reset`` says.

        With ``latest`` what was stored there before is never read, as at every Kafka consumer that comes upon a
        partition without a committed offset; it is recorded as missed.
        """
        latest = self.value.auto_offset_reset == "latest"
        for partition in new:
            self.owners.append(None)
            self.committed.append(partition.end if latest else partition.start)
            partition.groups.append(self)
            code = self.world.history.code("missed", self.value.name, partition.place)
            for offset, event in enumerate(partition.events if latest else (), start=partition.start):
                self.world.record(self.world.now, code, event, offset)
        self.rebalance()

    def truncated(self, partition: Partition, end: int) -> None:
        """The partition ends earlier now: who stood behind its end is out of range, and reset."""
        index, owner = partition.index, self.owners[partition.index]
        reset = end if self.value.auto_offset_reset == "latest" else partition.start
        if self.committed[index] > end:
            self.committed[index] = reset
        if owner is not None and owner.position_of(partition) > end:
            owner.fall_back(partition, reset)

    def position(self, partition: Partition) -> int:
        """The offset that this group will read next."""
        owner = self.owners[partition.index]
        return self.committed[partition.index] if owner is None else owner.position_of(partition)

    def has_in_hand(self, partition: Partition, offset: int) -> bool:
        """Whether this group has read what stands there, and not yet acknowledged it."""
        return self.committed[partition.index] <= offset < self.position(partition)

    def superseded(self, partition: Partition, offset: int) -> None:
        """Compaction is about to remove what stands there: record it if this group has not come to it."""
        if offset >= self.position(partition):
            code = self.world.history.code("compacted", self.value.name, partition.place)
            self.world.record(self.world.now, code, partition.events[offset - partition.start], offset)

    def miss(self, partition: Partition, gone: int) -> None:
        """Retention is about to delete the oldest ``gone`` events: record those that this group has not come to."""
        first, position = partition.start + gone, self.position(partition)
        code = self.world.history.code("expired", self.value.name, partition.place)
        for offset in range(max(position, partition.start), first):
            event = partition.events[offset - partition.start]
            if event != GAP:
                self.world.record(self.world.now, code, event, offset)

    def begin_of(self, partition: Partition) -> int:
        """Where a new owner begins: at the committed offset, if what stands there is still kept."""
        committed = self.committed[partition.index]
        return self.reset(partition) if committed < partition.start else min(committed, partition.end)

    def reset(self, partition: Partition) -> int:
        """Retention has passed us: go on where ``auto_offset_reset`` says; what this leaves out is recorded as missed.

        It happens when a member comes to ask for what is gone, and not before: OFFSET_OUT_OF_RANGE.
        """
        offset = partition.start
        if self.value.auto_offset_reset == "latest":
            offset = partition.end
            code = self.world.history.code("missed", self.value.name, partition.place)
            for number, event in enumerate(partition.events, start=partition.start):
                if event != GAP:
                    self.world.record(self.world.now, code, event, number)
        self.committed[partition.index] = max(self.committed[partition.index], offset)
        return offset


def _range_owner(partition: int, partitions: int, members: int) -> int:
    """Which member gets a partition when ranges are as equal as can be, the first members having one more."""
    share, extra = divmod(partitions, members)
    longer = extra * (share + 1)
    return partition // (share + 1) if partition < longer else extra + (partition - longer) // share
