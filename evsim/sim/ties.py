"""A world that does simultaneous things in an order drawn by chance, to look for bugs that hide behind one order.

What one owner does (a member, a partition, a process) stays in order, for messages of one connection do not overtake
each other; between owners nothing says who comes first, so any order is a true one.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from simpy.core import EmptySchedule

from evsim.chance import Chance
from evsim.sim.world import Datasets, World


class ShuffledWorld(World):
    """A ``World`` in which ``ties`` names the chance that decides who comes first among equals."""

    def __init__(self, ties: int, *, seed: int = 0, load: Datasets | None = None) -> None:
        super().__init__(seed=seed, load=load)
        self._draw = Chance(ties).uniforms("ties")

    def step(self) -> None:
        """Do one of the things that are due next; raise EmptySchedule when there is none."""
        heap = self._heap
        if not heap:
            raise EmptySchedule
        first = heappop(heap)
        if heap and heap[0][:2] == first[:2]:
            first = self._choose(first)
        self._now, _, _, fn, arg = first
        fn(arg)

    def _choose(self, first: Any) -> Any:
        """One of the entries that are due at the same time, the oldest of its owner; the others stay on the heap."""
        heap, due = self._heap, [first]
        while heap and heap[0][:2] == first[:2]:
            due.append(heappop(heap))
        eldest: dict[int, Any] = {}
        for entry in due:
            eldest.setdefault(_owner(entry), entry)
        chosen = list(eldest.values())[int(self._draw() * len(eldest))]
        for entry in due:
            if entry is not chosen:
                heappush(heap, entry)
        return chosen

    def _loop(self) -> None:
        while self._heap:
            self.step()


def _owner(entry: Any) -> int:
    """Whose entry it is: the object whose method is to be called; of SimPy's events, each its own."""
    _, _, _, fn, arg = entry
    owner = getattr(fn, "__self__", fn)
    return id(arg if isinstance(owner, World) else owner)
