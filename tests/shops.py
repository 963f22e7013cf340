"""Small worlds for the tests of the simulator."""

from __future__ import annotations

from typing import Any

from evsim.history import History
from evsim.sim.world import World


def run(*parts: Any, until_s: float = 60.0, seed: int = 7) -> History:
    """Run these parts and give their history."""
    world = World(seed=seed)
    world.build(parts)
    world.run(until=until_s)
    world.close()
    return world.history


def ids(history: History, step: str, node: str | None = None, **where: Any) -> list[str]:
    """The ids of the events that took this step, in order of time."""
    known = {what.step for what in history.whats}
    nodes = {what.node for what in history.whats}
    if step not in known or (node is not None and not any(n == node or n.startswith(f"{node}-") for n in nodes)):
        return []
    return [record.event_id for record in history.of(step, node=node, **where)]


def offsets(history: History, step: str, node: str | None = None) -> list[int]:
    """The numbers of the rows with this step."""
    return [record.number for record in history.of(step, node=node)]
