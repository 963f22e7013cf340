"""What lies in a queue: entries, in the order in which they will be given out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from evsim.sim.broker.base import Message

if TYPE_CHECKING:
    from evsim.sim.broker.base import Delivery

PLAIN = Message()
"""The properties of a message of which its publisher says nothing."""
Deaths = dict[tuple[str, str], int]
"""How often a message has died, by queue and reason (AMQP's x-death)."""


class Entry:
    """One message in one queue: waiting, or in flight while ``delivery`` is set."""

    __slots__ = (
        "attempts", "channel", "deaths", "delivery", "event", "expires_at", "group", "message", "number", "order",
        "rank",
    )  # fmt: skip

    def __init__(self, event: int, message: Message, expires_at: float | None, deaths: Deaths) -> None:
        self.event, self.message, self.expires_at, self.deaths = event, message, expires_at, deaths
        self.attempts = self.rank = self.number = self.order = 0
        self.channel: Any = None
        self.group: str | None = None
        self.delivery: Delivery | None = None


class Ready:
    """Entries that wait, the first one first: by rank (the highest priority), then by order.

    New ones come at the end; one that comes back goes to where its ``order`` puts it.
    """

    __slots__ = ("_back", "_line")

    def __init__(self) -> None:
        self._line: deque[Entry] = deque()
        self._back: list[tuple[int, int, Entry]] = []

    def __len__(self) -> int:
        return len(self._line) + len(self._back)

    def __iter__(self) -> Iterator[Entry]:
        yield from self._line
        yield from (entry for _, _, entry in self._back)

    def append(self, entry: Entry) -> None:
        """Let a new entry wait behind all of its rank."""
        if entry.rank:
            heappush(self._back, (-entry.rank, entry.order, entry))
        else:
            self._line.append(entry)

    def put_back(self, entry: Entry) -> None:
        """Let an entry wait where its order puts it."""
        heappush(self._back, (-entry.rank, entry.order, entry))

    def first(self) -> Entry | None:
        """Who is next."""
        if not self._back:
            return self._line[0] if self._line else None
        rank, order, entry = self._back[0]
        if self._line and (0, self._line[0].order) < (rank, order):
            return self._line[0]
        return entry

    def pop(self) -> Entry:
        """Take the next one."""
        entry = self.first()
        if self._line and entry is self._line[0]:
            return self._line.popleft()
        return heappop(self._back)[2]

    def remove(self, entry: Entry) -> None:
        """Take this one out, wherever it waits."""
        if entry in self._line:
            self._line.remove(entry)
        else:
            self._back = [each for each in self._back if each[2] is not entry]
            heapify(self._back)

    def clear(self) -> list[Entry]:
        """Take all of them, in order."""
        found = []
        while len(self):
            found.append(self.pop())
        return found


class Grouped(Ready):
    """Entries in message groups (SQS FIFO): of each group one at a time is out, and the group keeps its order."""

    __slots__ = ("_groups", "_heads", "_size", "busy")

    def __init__(self) -> None:
        super().__init__()
        self._groups: dict[str | None, deque[Entry]] = {}
        self._heads: list[tuple[int, Any]] = []
        self._size = 0
        self.busy: set[str | None] = set()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        yield from (entry for line in self._groups.values() for entry in line)

    def append(self, entry: Entry) -> None:
        """Let a new entry wait behind its group."""
        group = self._groups.setdefault(entry.group, deque())
        group.append(entry)
        self._size += 1
        if len(group) == 1 and entry.group not in self.busy:
            heappush(self._heads, (entry.order, entry.group))

    def put_back(self, entry: Entry) -> None:
        """Let an entry wait at the head of its group, which may go on."""
        self._groups.setdefault(entry.group, deque()).appendleft(entry)
        self._size += 1
        self.free(entry.group)

    def free(self, group: str | None) -> None:
        """Nothing of this group is out any more."""
        self.busy.discard(group)
        line = self._groups.get(group)
        if line:
            heappush(self._heads, (line[0].order, group))
        else:
            self._groups.pop(group, None)

    def first(self) -> Entry | None:
        """The oldest head of a group of which nothing is out."""
        while self._heads:
            order, group = self._heads[0]
            line = self._groups.get(group)
            if line and group not in self.busy and line[0].order == order:
                return line[0]
            heappop(self._heads)
        return None

    def pop(self) -> Entry:
        """Take it; its group is busy until ``free`` or ``put_back``."""
        entry = self.first()
        if entry is None:
            raise IndexError("no group has a message to give")
        heappop(self._heads)
        self._groups[entry.group].popleft()
        self._size -= 1
        self.busy.add(entry.group)
        return entry

    def remove(self, entry: Entry) -> None:
        """Take this one out."""
        self._groups[entry.group].remove(entry)
        self._size -= 1
        self.free(entry.group)

    def clear(self) -> list[Entry]:
        """Take all of them, in order; no group is busy any more."""
        found = sorted((entry for line in self._groups.values() for entry in line), key=lambda entry: entry.order)
        self._groups, self._heads, self._size, self.busy = {}, [], 0, set()
        return found
