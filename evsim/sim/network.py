"""Links: what lies between two nodes, and what can happen to an event on its way."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from typing import TYPE_CHECKING, Any, Literal

from simpy.events import NORMAL

from evsim.history import part_of
from evsim.laws import Constant, Duration
from evsim.sim.part import NODES, Part

if TYPE_CHECKING:
    from evsim.sim.world import World


class Link(Part):
    """The way from one part to another: ``Link("shop", "orders", delay_s=Exponential(0.001))``.

    Serves both directions unless the other direction has a link of its own. Like a TCP connection, a link keeps order:
    an event does not arrive before one that was sent earlier; ``ordered=False`` is for senders that open a connection
    for each event, as phones do. Where no link is given, the way takes no time.
    """

    start: str
    end: str
    delay_s: Duration = Constant(0.0)
    ordered: bool = True
    name: str | None = None
    kind: Literal["link"] = "link"

    def model_post_init(self, _: Any, /) -> None:
        """A link is named by its ends."""
        if self.name is None:
            object.__setattr__(self, "name", f"{self.start}>{self.end}")

    def joins(self, start: str, end: str) -> bool:
        """Whether this link leads from one of these nodes to the other."""
        return joins(self.start, self.end, start, end)

    def check(self, parts: Any) -> Any:
        """Both ends must exist."""
        for field in ("start", "end"):
            yield from self.refer(field, part_of_known(getattr(self, field), parts), NODES, parts)

    def build(self, world: World) -> None:
        """A link comes to life with the first event that needs it."""


def joins(start: str, end: str, from_node: str, to_node: str) -> bool:
    """Whether the way ``start`` to ``end`` (parts or members) is the way between these nodes."""
    return start in {from_node, part_of(from_node)} and end in {to_node, part_of(to_node)}


def part_of_known(name: str, parts: Any) -> str:
    """The part behind a name: the name itself if there is such a part, else the part whose member it names."""
    return name if name in parts else part_of(name) if part_of(name) in parts else name


class LiveLink:
    """One direction between two nodes. ``send`` calls ``fn(arg)`` at the other end, later or never."""

    __slots__ = (
        "_call_at",
        "_draw",
        "_ids",
        "_last",
        "_ordered",
        "_queue",
        "_value",
        "cut",
        "end",
        "faults",
        "name",
        "plain",
        "start",
        "world",
    )

    def __init__(self, world: World, start: str, end: str, value: Link) -> None:
        self.world, self.start, self.end = world, start, end
        self.name = f"{start}>{end}"
        law = value.delay_s
        still = isinstance(law, Constant) and law.value == 0
        self._draw: Callable[[], float] | None = None if still else world.draws(f"link {self.name}", law)
        self._call_at = world.call_at
        self._queue: list[Any] = world._queue
        self._ids = world._eid.__next__
        self._last = 0.0
        self._value, self._ordered = value, value.ordered
        self.cut = 0
        self.faults: list[Any] = []
        self.plain = True

    def joins(self, start: str, end: str) -> bool:
        """Whether this is the way between these two, each a node or the part of one."""
        return joins(start, end, self.start, self.end)

    def send(self, fn: Callable[[Any], Any], arg: Any, event: int = -1) -> bool:
        """Let ``arg`` travel to ``fn``; False when it was lost on the way (and recorded as dropped)."""
        if not self.plain:
            return self._send_through_faults(fn, arg, event)
        if self._draw is not None:
            arrival = self.world._now + self._draw()
            if self._ordered:
                if arrival < self._last:  # noqa: PLR1730 - max() costs more than the comparison
                    arrival = self._last
                self._last = arrival
            heappush(self._queue, (arrival, NORMAL, self._ids(), fn, arg))
        elif self._last <= self.world._now:
            fn(arg)
        else:
            self._call_at(self._last, fn, arg)
        return True

    def _send_through_faults(self, fn: Callable[[Any], Any], arg: Any, event: int) -> bool:
        copies, extra_s = 1, 0.0
        if self.cut:
            copies = 0
        for fault in self.faults:
            copies, extra_s = fault.meet(self, event, copies, extra_s)
        if not copies:
            self.note("dropped", event)
            return False
        for _ in range(copies):
            delay_s = extra_s + (self._draw() if self._draw is not None else 0.0)
            arrival = self.world.now + delay_s
            if self._ordered:
                arrival = self._last = max(arrival, self._last)
            self._call_at(arrival, fn, arg)
        return True

    def keep_order(self, ordered: bool) -> None:
        """Whether what is sent later may arrive earlier; a link that was made without order never keeps it."""
        self._ordered = ordered and self._value.ordered

    def note(self, step: str, event: int = -1) -> None:
        """Record what happened to an event, or to the link itself."""
        world = self.world
        world.record(world.now, world.history.code(step, self.name), event, 0)

    def settle(self) -> None:
        """Choose the short way when nothing is wrong with the link."""
        self.plain = not (self.cut or self.faults)
