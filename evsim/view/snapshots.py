"""What snapshots cost and save, in formulas: how many events lie between two of them, and how many would be best."""

from __future__ import annotations

from dataclasses import dataclass

from evsim.errors import BadScenario, shown
from evsim.patterns.snapshot import best_every, best_interval, is_cost


@dataclass(frozen=True)
class Snapshots:
    """A snapshot takes ``write_s`` to write, an event ``event_s`` to replay; each event is followed by ``loads`` loads.

    A load finds between 0 and N - 1 events behind the newest snapshot, (N - 1) / 2 on average, if it may come at any
    moment. For each event that is appended this costs w/N + q r (N - 1) / 2.
    """

    write_s: float
    loads: float
    event_s: float

    def __post_init__(self) -> None:
        for field in ("write_s", "loads", "event_s"):
            value = getattr(self, field)
            if not is_cost(value):
                raise BadScenario(f"{field}={shown(value)} is refused; expected a number above 0")
        best_interval(self.write_s, self.loads, self.event_s)

    def write_cost_s(self, every: float) -> float:
        """What the formula has as w/N: what writing costs for each event, with a snapshot each ``every`` events."""
        return self.write_s / every

    def load_cost_s(self, every: float) -> float:
        """What the formula has as q r (N - 1) / 2: what replaying costs for each event."""
        return self.loads * self.event_s * (every - 1) / 2

    def cost_s(self, every: float) -> float:
        """Both together."""
        return self.write_cost_s(every) + self.load_cost_s(every)

    @property
    def best(self) -> float:
        """√(2w / (q r)): where writing costs as much as loading, but for half an event."""
        return best_interval(self.write_s, self.loads, self.event_s)

    @property
    def best_every(self) -> int:
        """The best whole number of events between two snapshots."""
        return best_every(self.write_s, self.loads, self.event_s)

    def near(self, share: float = 0.1) -> tuple[int, int]:
        """From which to which interval the cost is at most this share above the least."""
        most = (1 + share) * self.cost_s(self.best_every)
        return self.best_every - self._reach(-1, most), self.best_every + self._reach(1, most)

    def _reach(self, way: int, most: float) -> int:
        """How far one can go this way from the best interval: costs only grow."""
        far, step = 0, 1
        while step:
            every = self.best_every + way * (far + step)
            if every >= 1 and self.cost_s(every) <= most:
                far, step = far + step, 2 * step
            else:
                step //= 2
        return far
