"""A projection at work: a consumer that keeps a read model, and knows what a reader of it can see already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from evsim.sim.consumer import Consumer, LiveConsumer
from evsim.sim.handling import Handling
from evsim.sim.part import BROKERS, Part
from evsim.sim.positions import Key, Reached
from evsim.sim.saga import Kept

if TYPE_CHECKING:
    from evsim.sim.handling import Context, Member
    from evsim.sim.world import World


class Projection(Consumer):
    """A read model: ``Projection("orders-view", of="orders", service_s=Exponential(0.09), members=2)``.

    It takes the events of a log, or of all streams of an event store, one after the other; what an event says can be
    read from the step *saved* on. Its rows lie in a database, where they survive a crash and are read while no member
    works. ``checkpoint`` says when the position of an event is written there: ``"with"`` the rows, in one transaction,
    so that an event is applied exactly once; ``"before"`` them, which loses an event when it crashes in between;
    ``"after"`` them, which applies one twice; ``"none"`` asks the source alone how far it had come. A checkpoint knows
    positions; against an event that was stored twice an ``inbox`` helps. With ``on`` a read model of your own is kept
    in ``ctx.state``. A projection is a consumer in all other respects: it has members, a service time, and the five
    steps.
    """

    checkpoint: Literal["with", "before", "after", "none"] = "with"
    kind: Literal["projection"] = "projection"  # type: ignore[assignment]
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "of": ("log", "event_store"),
        "to": BROKERS,
        "dead_letter": BROKERS,
    }

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this projection among these parts."""
        yield from super().check(parts)
        if self.share is not None or self.parallel > 1:
            yield f"{self.title}: its checkpoint is one position a partition; leave out share= and parallel="
        if self.of in parts and parts[self.of].kind == "event_store":
            for field in ("members", "commit", "group", "joins_at_s"):
                if getattr(self, field) != type(self).model_fields[field].default:
                    why = "an event store has one order of all events, and one reader at a time goes through it"
                    yield f"{self.title}: {why}; leave out {field}="

    def describe(self) -> dict[str, Any]:
        """To whoever looks at a history it is a consumer that says when its checkpoint is written."""
        said = super().describe()
        return {**said, "kind": "consumer", "projection": {"checkpoint": said.pop("checkpoint")}}

    def build(self, world: World) -> LiveProjection:
        """Bring the projection to life."""
        return LiveProjection(world, self)


class LiveProjection(LiveConsumer):
    """A projection at work. Its rows and its checkpoints lie on a disk that is not its members'."""

    value: Projection

    def __init__(self, world: World, value: Projection) -> None:
        super().__init__(world, value)
        self.checkpoints: dict[str, int] = {}
        self._reached: dict[Key, Reached] = {}
        self._waiting: dict[Key, list[tuple[Callable[[], bool], Callable[[], None]]]] = {}

    def handling_of(self) -> Handling:
        """Projecting."""
        return Projecting(self.world, self.value, self.group, self)

    def reached(self, event: int) -> Reached:
        """How far a reader would see of the key of this event."""
        return self._reached.setdefault(self.world.history.key_parts(event), Reached())

    def when(self, event: int, is_seen: Callable[[], bool], then: Callable[[], None]) -> None:
        """Call ``then`` when it is so: looked at each time that something of the key of this event is shown."""
        self._waiting.setdefault(self.world.history.key_parts(event), []).append((is_seen, then))

    def show(self, event: int, place: str, offset: int) -> None:
        """What this event says can be read now; it stands at this offset."""
        self.reached(event).advance(place, offset)
        key = self.world.history.key_parts(event)
        if key not in self._waiting:
            return
        waiting = [(is_seen(), is_seen, then) for is_seen, then in self._waiting.pop(key)]
        still = [(is_seen, then) for seen, is_seen, then in waiting if not seen]
        if still:
            self._waiting[key] = still
        for seen, _, then in waiting:
            if seen:
                then()


class Projecting(Handling):
    """To handle an event is to apply it, and to write how far one has come."""

    value: Projection

    def __init__(self, world: World, value: Projection, group: Any, live: LiveProjection) -> None:
        super().__init__(world, value, group)
        self._live = live

    def skips(self, member: Member, event: int) -> bool:
        """What is at or below the checkpoint is known."""
        return self._is_applied(member) or super().skips(member, event)

    def _is_applied(self, member: Member) -> bool:
        return member.cursor.position <= self._live.checkpoints.get(member.cursor.place, -1)

    def _was_done_meanwhile(self, member: Member, index: int) -> bool:
        """The transaction that writes the rows looks at the checkpoint again: another member may have come by."""
        if self.value.checkpoint != "with" or not self._is_applied(member):
            return super()._was_done_meanwhile(member, index)
        self.world.record(self.world.now, member.cursor.skipped, index, member.cursor.position)
        member.finish()
        return True

    def _handled(self, member: Member, index: int, context: Context) -> None:
        when = self.value.checkpoint
        if when == "before":
            self._advance(member)

        def keep() -> None:
            if when == "with":
                self._advance(member)
            self._live.show(index, member.cursor.place, member.cursor.position)

        kept = Kept(context.state, keep)
        kept.changes, kept.gone = context.state.changes, context.state.gone
        context.state = kept
        super()._handled(member, index, context)

    def _publish(self, member: Member, events: list[int]) -> None:
        if self.value.checkpoint == "after":
            self._advance(member)
        super()._publish(member, events)

    def _advance(self, member: Member) -> None:
        cursor, known = member.cursor, self._live.checkpoints
        known[cursor.place] = max(cursor.position, known.get(cursor.place, -1))
