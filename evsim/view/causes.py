"""Who sends to whom, as a graph: the parts of a run with what flowed between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from evsim.history import part_of
from evsim.view import measures

if TYPE_CHECKING:
    from evsim.history import History

MEMBERS_MAX = 8
"""A consumer with more members is drawn as one box."""


def topology_graph(history: History) -> nx.DiGraph:
    """Nodes with ``kind`` and what is worth knowing of them, edges with ``rate`` in events per second."""
    graph = nx.DiGraph()
    start, end = measures.span(history)
    length = max(end - start, 1e-9)
    for name, part in history.parts.items():
        if part["kind"] in {"publisher", "log", "service"}:
            graph.add_node(name, kind=part["kind"], part=part)
        elif part["kind"] == "consumer":
            for member in _members(history, name, part):
                graph.add_node(member, kind="consumer", part=part)
                graph.add_edge(part["of"], member, rate=0.0)
    for (source, target), rows in _flows(history).items():
        if source in graph and target in graph:
            graph.add_edge(source, target, rate=rows / length)
    return graph


def _members(history: History, name: str, part: dict[str, object]) -> list[str]:
    count = int(str(part.get("members", 1)))
    known = {what.node for what in history.whats if part_of(what.node) == name and what.node != name}
    named = [name] if count == 1 else [f"{name}-{n}" for n in range(1, count + 1)]
    members = list(dict.fromkeys([*named, *sorted(known)]))
    return members if len(members) <= MEMBERS_MAX else [name]


def _flows(history: History) -> dict[tuple[str, str], int]:
    """How many events went from one node to another: published, delivered, called, and put aside."""
    counts = np.bincount(history.what, minlength=len(history.whats)) if len(history) else []
    flows: dict[tuple[str, str], int] = {}
    for what, count in zip(history.whats, counts, strict=False):
        edge = {
            "published": (what.node, what.place),
            "delivered": (what.place.rpartition("/")[0], what.node),
            "called": (what.place, what.node),
            "dead_lettered": (what.node, what.place),
        }.get(what.step)
        if what.step == "published" and history.parts.get(what.place, {}).get("kind") == "service":
            continue  # the service itself says that it was called
        if edge is not None and edge[0]:
            for each in {edge, (edge[0], part_of(edge[1])), (part_of(edge[0]), edge[1])}:
                flows[each] = flows.get(each, 0) + int(count)
    return flows


def layers(graph: nx.DiGraph) -> list[list[str]]:
    """Nodes from left to right by their longest way from a source, those of a layer ordered by their neighbours."""
    forward = nx.DiGraph(graph)
    while True:
        try:
            circle = nx.find_cycle(forward)
        except nx.NetworkXNoCycle:
            break
        forward.remove_edge(*circle[-1][:2])
    rank = dict.fromkeys(forward, 0)
    for node in nx.topological_sort(forward):
        for after in forward.successors(node):
            rank[after] = max(rank[after], rank[node] + 1)
    columns: list[list[str]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for node in graph:
        columns[rank[node]].append(node)
    for sweep in range(4):
        order = columns if sweep % 2 == 0 else columns[::-1]
        for column, before in zip(order[1:], order, strict=False):
            place = {node: n for n, node in enumerate(before)}
            column.sort(key=lambda node: _middle(graph, node, place))
    return columns


def _middle(graph: nx.DiGraph, node: str, place: dict[str, int]) -> float:
    near = [place[other] for other in (*graph.predecessors(node), *graph.successors(node)) if other in place]
    return sum(near) / len(near) if near else 0.0
