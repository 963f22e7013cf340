"""The same clients under each cure against stale reads, with the same luck."""

from __future__ import annotations

from collections.abc import Sequence

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.sim.clients import Clients
from evsim.view import plots
from evsim.view.figure import Figure
from evsim.view.staleness import Met, met

CURES = (None, "wait", "write_side", "sticky", "token")


class Cured(dict[str, Met]):
    """What sessions met by the cure that they had; ``figure()`` compares them."""

    def figure(self) -> Figure:
        """A figure: wrong answers, waiting, and load on the write side, one row a cure."""
        return plots.cures(self)

    def __repr__(self) -> str:
        return self.figure().caption


def cures(scenario: Scenario, *, until_s: float, seed: int, among: Sequence[str | None] = CURES) -> Cured:
    """Run the scenario once with each cure and say what its clients met: ``cures(shop, until_s=600, seed=7)``."""
    clients = [part for part in scenario.parts if isinstance(part, Clients)]
    if len(clients) != 1:
        raise BadScenario(f"{scenario.name} has {len(clients)} Clients, so nobody knows whom to cure; expected one")
    found = Cured()
    for cure in among:
        run = scenario.replace(clients[0].name, cure=cure).run(until_s=until_s, seed=seed, progress=False)
        found[(cure or "none").replace("_", " ")] = met(run.history)
    return found
