"""The cooperative protocol: in a rebalance only the partitions that move stop; all others are worked on meanwhile.

Kafka's incremental cooperative rebalancing (KIP-429) with a sticky assignor: first those who have too much give up what
will move, then it is given to others; everybody keeps what it can keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.sim.group import LiveGroup
from evsim.sim.member import Cursor, LiveMember

if TYPE_CHECKING:
    from evsim.sim.broker.partition import Partition


class CooperativeMember(LiveMember):
    """A member that gives up some of its partitions and goes on with the others."""

    __slots__ = ("places",)
    places: set[int] | None
    """The partitions that it has been asked for."""

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        self.places = None

    def give_up_some(self, places: set[int]) -> None:
        """Hand these partitions back: at once, or when the event in hand is one of theirs, after it."""
        self.places, self.giving_up = places, True
        if self.is_silent or (self._handling_now() and self.cursor.partition.index in places):
            return
        self._release()

    def _release(self) -> None:
        if self.places is None or self.leaving:
            super()._release()
            return
        places, self.places, self.giving_up = self.places, None, False
        cut_short = self.busy and self.cursor.partition.index in places
        for cursor in [each for each in self.cursors if each.partition.index in places]:
            if self._policy != "before" and cursor.position > self.group.committed[cursor.partition.index]:
                self.commit(cursor, cursor.position)
            self.note("revoked", cursor.partition.place, self.generation)
            self.cursors.remove(cursor)
        self._turn = 0
        if cut_short:
            self.epoch += 1
            self.busy = self.idle = False
        self._say_ready(self.epoch)
        if cut_short:
            self._go()

    def finish(self) -> None:
        """The event is dealt with; if its partition stays ours, hand back the others and go on."""
        if self.places is not None and not self.leaving and self.cursor.partition.index not in self.places:
            self._release()
        super().finish()

    def take(self, share: list[Partition], generation: int) -> None:
        """Own these partitions too."""
        self.waiting = False
        self.generation = generation
        for p in share:
            self.note("assigned", p.place, generation)
        if self.down:  # when it is back it reads the positions of all that it owns
            return
        begins = not self.cursors
        owners = self.group.owners
        have = {cursor.partition.index for cursor in self.cursors}
        for p in self._log.partitions[: len(owners)]:
            if owners[p.index] is self and p.index not in have:
                start = self.group.begin_of(p)
                self.cursors.append(Cursor(self.world, self.name, p, start))
        self.cursors.sort(key=lambda cursor: cursor.partition.index)
        if begins and not self.busy:
            self.epoch += 1
            self._go()
        elif not self.busy:
            self.fetch()

    def appear(self) -> None:
        """Show up again, and hand back what one was asked for meanwhile; a newcomer waits for its first share."""
        newcomer = self.group.has(self) and self.generation != self.group.generation
        if newcomer and not self.leaving:
            return
        super().appear()
        asked = self.group.asked.get(self.name)
        if asked and self.group.has(self) and not self.is_silent and not self.leaving:
            self.give_up_some(asked)

    def _forget(self) -> None:
        super()._forget()
        self.places = None


class CooperativeGroup(LiveGroup):
    """A group that shares its partitions out without stopping those that stay."""

    members: dict[str, CooperativeMember]  # type: ignore[assignment]

    def manners(self) -> list[type[LiveMember]]:
        """What is special about our members."""
        return [*super().manners(), CooperativeMember]

    @property
    def preparing(self) -> bool:
        """Nobody has to stop and wait."""
        return False

    def rebalance(self) -> None:
        """Plan who shall have what, and ask those who have too much for the difference."""
        self._preparing = True
        self._assigning += 1
        plan = self._plan()
        self.asked = {}
        for member in self._here():
            moving = {i for i, owner in enumerate(self.owners) if owner is member and plan[i] is not member}
            if moving:
                self.asked[member.name] = moving
        for name, moving in list(self.asked.items()):
            self.members[name].give_up_some(moving)
        self._assign_when_ready()

    def _here(self) -> list[CooperativeMember]:
        return [member for member in self._present if isinstance(member, CooperativeMember)]

    def ready(self, member: LiveMember) -> None:
        """A member has handed back what it was asked for; one that was put out learns it now."""
        if not self.has(member):
            member.put_out()
            return
        if isinstance(member, CooperativeMember) and member.places is not None:
            return  # it has been asked for more meanwhile, and will say so again
        for index in self.asked.pop(member.name, ()):
            if self.owners[index] is member:
                self._give(self.log.partitions[index], None)
        self._assign_when_ready()

    def _assign_when_ready(self) -> None:
        if self._preparing and not self._ghosts and not self.asked:
            self._preparing = False
            if self.value.rebalance_s:
                self.world.call_in(self.value.rebalance_s, self._assign, self._assigning)
            else:
                self._assign(self._assigning)

    def _assign(self, assigning: int) -> None:
        if assigning != self._assigning:
            return
        self.generation += 1
        plan = self._plan()
        gained: dict[str, list[Partition]] = {member.name: [] for member in self._here()}
        for index, wanted in enumerate(plan):
            if wanted is not None and self.owners[index] is None:
                self._give(self.log.partitions[index], wanted)
                gained[wanted.name].append(self.log.partitions[index])
        for member in self._here():
            member.take(gained[member.name], self.generation)

    def _plan(self) -> list[CooperativeMember | None]:
        """Equal shares, in which everybody keeps as much as can be of what it has."""
        members = sorted(self._here(), key=lambda member: member.number)
        plan: list[CooperativeMember | None] = [None] * len(self.log.partitions)
        if not members:
            return plan
        least, more = divmod(len(plan), len(members))
        owned = {m.name: [i for i, owner in enumerate(self.owners) if owner is m] for m in members}
        by_size = sorted(members, key=lambda m: (-len(owned[m.name]), m.number))
        room = {m.name: least + (place < more) for place, m in enumerate(by_size)}
        for m in members:
            for index in owned[m.name][: room[m.name]]:
                plan[index] = m
            room[m.name] -= min(room[m.name], len(owned[m.name]))
        free = [m for m in members for _ in range(room[m.name])]
        for index in [i for i, m in enumerate(plan) if m is None]:
            plan[index] = free.pop(0)
        return plan

    def is_stale(self, member: LiveMember, generation: int, index: int) -> bool:
        """Who keeps a partition over a rebalance may acknowledge under the generation before it."""
        return self.owners[index] is not member or generation < self._since.get(member.name, 0)

    def join(self, member: LiveMember) -> None:
        """Let a member in; what it says under an older generation does not count."""
        self._since[member.name] = self.generation + 1
        super().join(member)
