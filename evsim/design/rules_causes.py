"""Rules about cause and effect: everything has a cause, nothing goes in circles, a command is answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import networkx as nx

from evsim.design.finding import Finding
from evsim.errors import did_you_mean

if TYPE_CHECKING:
    from evsim.design.catalogue import EventCatalogue
    from evsim.design.rules_names import Answers


def causes(catalogue: EventCatalogue) -> Answers:
    """Every cause is in the catalogue, or an actor."""
    for entry in catalogue.types:
        for cause in catalogue.causes(entry):
            finding = None
            if cause not in catalogue:
                hint = did_you_mean(cause, catalogue.names)
                fix = hint.removeprefix(" — ") if "did you mean" in hint else "add it, or name another cause"
                given = f"caused by {cause}, which is not in the catalogue"
                finding = Finding("causes", entry.type, given, "a type of the catalogue, or an actor", fix)
            yield "causes", finding


def reached(catalogue: EventCatalogue) -> Answers:
    """Everything can be reached from an actor: somebody, or a clock, begins every story."""
    beginnings = [entry.type for entry in catalogue.types if catalogue.actors(entry)]
    graph = _graph(catalogue)
    reachable = set(beginnings).union(*(nx.descendants(graph, name) for name in beginnings))
    for entry in catalogue.types:
        finding = None
        if entry.type not in reachable and not entry.caused_by:
            fix = "say what leads to it: caused_by='customer', or the type of an event"
            finding = Finding("reached", entry.type, "nothing leads to it", "a cause", fix)
        yield "reached", finding


def circles(catalogue: EventCatalogue) -> Answers:
    """Nothing is its own cause; a reason at one of the types excuses a circle that ends in practice."""
    graph = _graph(catalogue)
    inside: set[str] = set()
    for knot in nx.strongly_connected_components(graph):
        start = min(knot, key=catalogue.names.index)
        if len(knot) > 1 or graph.has_edge(start, start):
            inside |= knot
            excused = any(entry.because for entry in catalogue.types if entry.type in knot)
            yield "circles", None if excused else _circle(graph, start)
    for name in catalogue.names:
        if name not in inside:
            yield "circles", None


def _circle(graph: nx.DiGraph[str], start: str) -> Finding:
    back = min((nx.shortest_path(graph, after, start) for after in _sorted_ways(graph, start)), key=len)
    way = " → ".join([start, *back])
    fix = "begin the second round with a new cause (an actor, a clock), or give because='…' if it must end"
    return Finding("circles", start, way, "a story that ends", fix)


def _sorted_ways(graph: nx.DiGraph[str], start: str) -> Iterable[str]:
    return [after for after in graph.successors(start) if nx.has_path(graph, after, start)]


def answered(catalogue: EventCatalogue) -> Answers:
    """A command leads to an event, at least to the one that says no; an event is needed by somebody."""
    for entry in catalogue.types:
        effects = [effect for effect in catalogue.effects(entry.type) if effect.kind != "command"]
        if entry.kind == "command":
            fix = f"add what comes of it, and what is said when it is refused, caused_by='{entry.type}'"
            finding = Finding("answered", entry.type, "no event follows from it", "an event, a refusal at least", fix)
            yield "answered", None if effects else finding
        elif entry.kind:
            needed = entry.moves or entry.readers or catalogue.effects(entry.type)
            fix = "leave it out, or say who reads it, with readers='…', or what it changes, with moves='…'"
            finding = Finding("answered", entry.type, "it changes nothing and nobody reads it", "a use", fix)
            yield "answered", None if needed else finding


def _graph(catalogue: EventCatalogue) -> nx.DiGraph[str]:
    """Types only; a cause that nobody knows is a cause still, but leads to nothing that can be followed."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(catalogue.names)
    graph.add_edges_from(
        (cause, entry.type) for entry in catalogue.types for cause in catalogue.causes(entry) if cause in catalogue
    )
    return graph


RULES = (causes, reached, circles, answered)
