"""Which partition a producer sends an event to: by its key, or, without one, the same until a batch is full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evsim.sim.world import World


class Spread:
    """Kafka's default partitioner: murmur2 of the key; without a key it sticks to one partition.

    It stays there until a batch full has been sent to it, whether that went as one batch or as several (KIP-794), then
    goes to another one by chance. A broker without partitions gets all in one lane.
    """

    __slots__ = ("_anyone", "_broker", "_capacity", "_left", "_sticky", "partition_of")

    def __init__(self, world: World, node: str, broker: Any, capacity: int) -> None:
        self._broker, self._capacity = broker, capacity
        self._left, self._sticky = 0, -1
        if not hasattr(broker, "partitioner"):
            self.partition_of: Any = _nowhere
        else:
            self._anyone = world.chance.uniforms(f"{node} spread over {broker.name}")
            self.partition_of = self._by_key

    def _by_key(self, stem: str | None, number: int) -> int:
        if stem is not None:
            found: int = self._broker.partitioner.of(stem, number)
            return found
        if not self._left:
            self._move()
        self._left -= 1
        return self._sticky

    def _move(self) -> None:
        """Choose a partition other than the present one, if there is another."""
        count, self._left = len(self._broker.partitions), self._capacity
        if self._sticky < 0 or count == 1:
            self._sticky = int(self._anyone() * count)
        else:
            other = int(self._anyone() * (count - 1))
            self._sticky = other + (other >= self._sticky)


def _nowhere(_stem: str | None, _number: int) -> None:
    return None
