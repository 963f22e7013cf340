"""Who sends to whom, as a graph: the parts of a run with what flowed between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from evsim.history import History, part_of
from evsim.view.ledger import log_of, window

if TYPE_CHECKING:
    Graph = nx.DiGraph[str]

MEMBERS_MAX, NODES_MAX = 8, 24
"""A consumer with more members is one box; and when there are more boxes than the second, every consumer is."""
_DRAWN = {
    "publisher", "clients", "log", "service", "consumer", "queue", "exchange", "pubsub", "webhook", "stream", "router",
    "wiretap", "resequencer", "relay", "cache", "redrive", "event_store",
}  # fmt: skip


def topology_graph(history: History, from_s: float | None = None, to_s: float | None = None) -> Graph:
    """The parts of a run, in their order; nodes with ``kind``, ``part``, ``members``; edges with ``rate`` and ``lost``.

    Rates are events per second over the window. What could have flowed and did not has the rate 0.
    """
    graph: Graph = nx.DiGraph()
    names = _boxes(history)
    for name, part in history.parts.items():
        for box in names.get(name, ()):
            graph.add_node(
                box, kind=part["kind"], part=part, members=_member_count(history, name) if box == name else 1
            )
    for start, end in _possible(history, names):
        if start in graph and end in graph:
            graph.add_edge(start, end, rate=0.0, lost=0)
    low, high = window(history, from_s, to_s)
    length = max(high - low, 1e-9)
    for (start, end), (flowed, lost) in {**_flows(history, low, high), **_routed(history, graph, low, high)}.items():
        edge = _box_of(start, graph), _box_of(end, graph)
        if edge[0] in graph and edge[1] in graph and edge[0] != edge[1]:
            known = graph.get_edge_data(*edge, default={"rate": 0.0, "lost": 0})
            graph.add_edge(*edge, rate=known["rate"] + flowed / length, lost=known["lost"] + lost)
    return graph


def _boxes(history: History) -> dict[str, list[str]]:
    """The boxes of each part: one, or one for each member while there is room."""
    drawn = {name: part for name, part in history.parts.items() if part["kind"] in _DRAWN}
    found = {name: _members(history, name) if part["kind"] == "consumer" else [name] for name, part in drawn.items()}
    if sum(map(len, found.values())) > NODES_MAX:
        found = {name: [name] for name in drawn}
    return found


def _members(history: History, name: str) -> list[str]:
    count = _member_count(history, name)
    if count > MEMBERS_MAX:
        return [name]
    known = {what.node for what in history.whats if part_of(what.node) == name and what.node != name}
    return [f"{name}-{number}" for number in range(1, count + 1)] if known or count > 1 else [name]


def _member_count(history: History, name: str) -> int:
    """The members that the part began with, and those that joined later."""
    numbers = [int(what.node.rpartition("-")[2]) for what in history.whats if part_of(what.node) == name != what.node]
    return max(int(history.parts[name].get("members", 1)), *numbers, 1)


def _box_of(node: str, graph: Graph) -> str:
    return node if node in graph else part_of(node)


def _possible(history: History, names: dict[str, list[str]]) -> Iterable[tuple[str, str]]:
    """The ways that the parts themselves speak of."""
    for name, part in history.parts.items():
        if part["kind"] in {"publisher", "clients"} and part.get("to"):
            yield name, part["to"]
        for service in part.get("calls", ()):
            yield name, service
        for target in [*(part.get("bindings") or ()), *(part.get("routes") or ()), *_others(part)]:
            yield name, target
        if part["kind"] in {"router", "wiretap", "resequencer", "relay", "redrive", "cache"} and part.get("of"):
            yield part["of"], name
        if part["kind"] == "consumer":
            for member in names[name]:
                yield part["of"], member
                if part.get("dead_letter"):
                    yield member, part["dead_letter"]


def _others(part: Mapping[str, Any]) -> list[str]:
    """Where else a part sends what it does not keep."""
    fields = {"exchange": ("alternate",), "queue": ("dead_letter",), "wiretap": ("to",), "router": ("default",)}
    fields |= {"redrive": ("to",), "cache": ("origin",), "resequencer": ("to",), "relay": ("to",)}
    return [part[field] for field in fields.get(part["kind"], ()) if part.get(field)]


def _routed(history: History, graph: Graph, low: float, high: float) -> dict[tuple[str, str], tuple[int, int]]:
    """What went from an exchange to each queue: of the events published to the one, those stored in the other."""
    inside = (history.time >= low) & (history.time <= high)
    flows: dict[tuple[str, str], tuple[int, int]] = {}
    for name, part in history.parts.items():
        if part["kind"] != "exchange":
            continue
        sent = _events(history, inside, "published", name)
        for queue in graph.successors(name) if name in graph else ():
            flows[name, queue] = (int(np.isin(_events(history, inside, "stored", queue), sent).sum()), 0)
    return flows


def _events(history: History, inside: Any, step: str, place: str) -> Any:
    codes = [code for code, what in enumerate(history.whats) if what.step == step and what.place == place]
    return history.event[inside & np.isin(history.what, codes)]


def _flows(history: History, low: float, high: float) -> dict[tuple[str, str], tuple[int, int]]:
    """How many events went from one node to another in the window, and how many were lost on that way."""
    inside = (history.time >= low) & (history.time <= high)
    counts = np.bincount(history.what[inside], minlength=len(history.whats))
    flows: dict[tuple[str, str], tuple[int, int]] = {}
    for what, count in zip(history.whats, counts.tolist(), strict=False):
        start, _, end = what.node.partition(">")
        edge = {
            "published": (what.node, what.place),
            "delivered": (log_of(what.place), what.node),
            "called": (what.place, what.node),
            "dead_lettered": (what.node, what.place),
            "dropped": (start, end),
        }.get(what.step)
        asked = history.parts.get(what.place, {}).get("kind") == "service" and what.step in {"published", "delivered"}
        if edge is None or asked:  # a service says itself that it was called
            continue
        flowed, lost = flows.get(edge, (0, 0))
        flows[edge] = (flowed, lost + count) if what.step == "dropped" else (flowed + count, lost)
    return flows


def layers(graph: Graph) -> list[list[str]]:
    """Nodes from left to right by their longest way from a source, those of a layer ordered by their neighbours."""
    forward = without_circles(graph)
    rank = dict.fromkeys(forward, 0)
    for node in nx.topological_sort(forward):
        for after in forward.successors(node):
            rank[after] = max(rank[after], rank[node] + 1)
    columns: list[list[str]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for node in graph:
        columns[rank[node]].append(node)
    for sweep in range(8):
        near = forward.predecessors if sweep % 2 == 0 else forward.successors
        place = {node: (k + 0.5) / len(column) for column in columns for k, node in enumerate(column)}
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            column.sort(key=lambda node: _mean([place[other] for other in near(node)], place[node]))
            place |= {node: (k + 0.5) / len(column) for k, node in enumerate(column)}
    return [column for column in columns if column]


def _mean(places: list[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def without_circles(graph: Graph) -> Graph:
    """The same graph without the edges that close a circle: those that lead back to an earlier part."""
    forward: Graph = nx.DiGraph(graph)
    order = {node: number for number, node in enumerate(graph)}
    while True:
        try:
            circle: list[Any] = nx.find_cycle(forward)
        except nx.NetworkXNoCycle:
            return forward
        forward.remove_edge(
            *max(((start, end) for start, end, *_ in circle), key=lambda edge: order[edge[0]] - order[edge[1]])
        )


def flow_graph(history: History, name: str) -> Graph:
    """What caused what: the events of one order or flow, an edge from each cause to its effects."""
    graph: Graph = nx.DiGraph()
    members = [history.index(event_id) for event_id in history.flow(name)]
    for index in members:
        graph.add_node(history.id_of(index), type=history.type_of(index), key=history.key_of(index))
    for index, cause in ((index, int(history.table["causation"][index])) for index in members):
        if cause in members:
            graph.add_edge(history.id_of(cause), history.id_of(index))
    return graph
