"""A design of events as a graph of causes, each type in a row of its own: what came first stands above."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx

from evsim.design.observed import OUTSIDE, compare
from evsim.view.causes import without_circles

if TYPE_CHECKING:
    from evsim.design import Comparison, EventCatalogue
    from evsim.history import History
    from evsim.view.causes import Graph

UNDESIGNED = "not designed"
"""The lane of types that a run has shown and nobody has designed."""


class Track(NamedTuple):
    """The way down from a cause to its effects: in which lane, how far from its boxes, from which row to which."""

    lane: str
    number: int
    top: int
    bottom: int


def causality_graph(catalogue: EventCatalogue, history: History | None = None) -> Graph:
    """Types, actors and orphaned states; nodes with ``kind``, ``lane``, ``broken``; edges with ``role`` and ``seen``.

    The role of an edge is ``"flow"`` (as designed), ``"fault"`` (against a rule, or never designed) or ``"wait"``
    (designed, and not seen in the history).
    """
    graph: Graph = nx.DiGraph()
    lint = catalogue.lint()
    broken = {finding.where for finding in lint.findings}
    for actor in dict.fromkeys(actor for entry in catalogue.types for actor in catalogue.actors(entry)):
        graph.add_node(actor, kind="actor", lane=OUTSIDE, broken=False, seen=None)
    for name in catalogue.names:
        entry = catalogue[name]
        graph.add_node(name, kind=entry.kind or "", lane=entry.owner or "nobody", broken=name in broken, seen=None)
    for entry in catalogue.types:
        for cause in dict.fromkeys(entry.caused_by):
            if cause not in graph:
                graph.add_node(cause, kind="", lane="nobody", broken=True, seen=None)
            graph.add_edge(
                cause, entry.type, role="fault" if _leaks(catalogue, cause, entry.type) else "flow", seen=None
            )
    for start, end in set(graph.edges) - set(without_circles(graph).edges):
        graph.edges[start, end]["role"] = "flow" if _excused(catalogue, start, end) else "fault"
    for finding in lint.of("orphans"):
        lane = _home(catalogue, finding.where.partition(" ")[0])
        graph.add_node(finding.where, kind="orphan", lane=lane, broken=True, seen=None)
    if history is not None:
        _overlaid(graph, compare(catalogue, history))
    return graph


def _leaks(catalogue: EventCatalogue, cause: str, effect: str) -> bool:
    """A domain event that leads to an event of another context has left its own."""
    if cause not in catalogue or catalogue[cause].kind != "domain" or catalogue[effect].kind == "command":
        return False
    return catalogue[cause].owner not in {"", catalogue[effect].owner}


def _excused(catalogue: EventCatalogue, *names: str) -> bool:
    return any(catalogue[name].because for name in names if name in catalogue)


def _home(catalogue: EventCatalogue, entity: str) -> str:
    """The context that tells most of this thing's life."""
    owners = [entry.owner for entry in catalogue.types if (entry.of or entry.noun) == entity and entry.owner]
    return max(owners, key=owners.count, default="nobody")


def _overlaid(graph: Graph, compared: Comparison) -> None:
    """What the run has seen, on what was designed."""
    for name in compared.never_designed:
        graph.add_node(name, kind="", lane=UNDESIGNED, broken=True)
    for name, data in graph.nodes(data=True):
        if data["kind"] not in {"actor", "orphan"}:
            data["seen"] = compared.seen.get(name, 0)
    for start, end in graph.edges:
        cause = OUTSIDE if graph.nodes[start]["kind"] == "actor" else start
        times = compared.edges.get((cause, end), 0)
        graph.edges[start, end].update(seen=times, role="flow" if times else "wait")
    for edge in compared.edges_never_designed:
        start, end = edge
        if start == OUTSIDE and OUTSIDE not in graph:
            graph.add_node(OUTSIDE, kind="actor", lane=OUTSIDE, broken=False, seen=None)
        graph.add_edge(start, end, role="fault", seen=compared.edges[edge])


def rows(graph: Graph) -> list[str]:
    """One row for each node, causes above their effects, and an effect as near to its cause as can be."""
    forward = without_circles(graph)
    waiting = {node: forward.in_degree(node) for node in graph}
    ready = [node for node in reversed(list(graph)) if not waiting[node] and graph.nodes[node]["kind"] != "orphan"]
    order: list[str] = []
    while ready:
        node = ready.pop()
        order.append(node)
        freed = []
        for after in forward.successors(node):
            waiting[after] -= 1
            if not waiting[after]:
                freed.append(after)
        ready += reversed(freed)
    return order + [node for node in graph if graph.nodes[node]["kind"] == "orphan"]


def lanes(graph: Graph, order: Iterable[str]) -> list[str]:
    """The contexts from left to right as they are first met, outside first, and what belongs to nobody last."""
    met = dict.fromkeys(graph.nodes[node]["lane"] for node in order)
    last = [lane for lane in ("nobody", UNDESIGNED) if lane in met]
    first = [lane for lane in (OUTSIDE,) if lane in met]
    return first + [lane for lane in met if lane not in {*first, *last}] + last


def tracks(graph: Graph, order: list[str]) -> dict[tuple[str, str], Track]:
    """The way down from each cause for each role of edge, so that no two in a lane lie on one another."""
    row = {node: number for number, node in enumerate(order)}
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    for start in order:
        for end in graph.successors(start):
            cause = start, graph.edges[start, end]["role"]
            top, bottom = spans.get(cause, (row[start], row[start]))
            spans[cause] = min(top, row[end]), max(bottom, row[end])
    found: dict[tuple[str, str], Track] = {}
    for cause, (top, bottom) in sorted(spans.items(), key=lambda item: (item[1][1] - item[1][0], item[1][0])):
        lane = graph.nodes[cause[0]]["lane"]
        taken = {way.number for way in found.values() if way.lane == lane and way.top <= bottom and top <= way.bottom}
        number = next(k for k in range(len(spans)) if k not in taken)
        found[cause] = Track(lane, number, top, bottom)
    return found
