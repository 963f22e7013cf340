"""What leads to what: the types of a design from top to bottom, a lane a context, beside what a run has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.view.causality import causality_graph, lanes, rows, tracks
from evsim.view.figure import Figure, empty
from evsim.view.words import claim_of, count, grouped

if TYPE_CHECKING:
    from evsim.design import EventCatalogue
    from evsim.history import History
    from evsim.view.causes import Graph
    from evsim.view.sheet import Key, Sheet

ROW, TOP, FOOT = 27, 116, 16
FACTS_MAX = 12
_KINDS = {"command": "command", "domain": "domain event", "integration": "integration event"}


def causality(catalogue: EventCatalogue, history: History | None = None) -> Figure:
    """The graph of causes of a catalogue; with a history, what was seen of it and what nobody had designed."""
    graph = causality_graph(catalogue, history)
    if not len(graph):
        return empty("There is nothing in this catalogue", "Nothing to draw: give it types of events.")
    order = rows(graph)
    columns = lanes(graph, order)
    ways = tracks(graph, order)
    subtitle = f"{catalogue.name}: each row a type, each column a context; from a cause down to its effects."
    if history is not None:
        seed = history.meta.get("seed")
        about = f"{grouped(history.event_count)} events" + (f", seed {seed}" if seed is not None else "")
        subtitle = f"{catalogue.name}: the design and a run of {about}. Numbers: how often it was seen."

    def draw(sheet: Sheet) -> None:
        from evsim.view.plots.ladder import draw_ladder

        draw_ladder(sheet, graph, order, columns, ways)

    claim = _designed(catalogue, graph) if history is None else _seen(graph)
    height = TOP + ROW * len(order) + FOOT
    return Figure(claim, subtitle, _facts(catalogue, graph, history), draw, height=height, keys=_keys(graph, history))


# -------------------------------------------------------------------- words


def _designed(catalogue: EventCatalogue, graph: Graph) -> str:
    lint = catalogue.lint()
    orphans = [node for node, kind in _all(graph, "kind").items() if kind == "orphan"]
    if orphans:
        return claim_of(
            f"No event leads to {' or '.join(orphans)}: it cannot be rebuilt",
            f"{count(len(orphans), 'state')} cannot be rebuilt: no event leads there",
        )
    leaks = [edge for edge in graph.edges if graph.edges[edge]["role"] == "fault"]
    if leaks:
        return claim_of(
            f"{' and '.join(dict.fromkeys(start for start, _ in leaks))} should not lead where it does",
            f"{count(len(leaks), 'arrow')} should not be there",
        )
    if lint.findings:
        return f"{count(len(lint.findings), 'finding')} in {count(len(catalogue), 'type')}: the score is {lint.score}"
    contexts = count(len(catalogue.owners), "context")
    return f"{count(len(catalogue), 'type')} in {contexts}, and nothing was found: the score is {lint.score}"


def _seen(graph: Graph) -> str:
    new = [edge for edge in graph.edges if graph.edges[edge]["role"] == "fault"]
    unseen = [node for node, seen in _all(graph, "seen").items() if seen == 0]
    if new:
        first = f"{new[0][0]} → {new[0][1]}"
        return claim_of(
            f"Nobody designed {first}, and it was seen"
            if len(new) == 1
            else f"Nobody designed {len(new)} of the arrows",
            f"Nobody designed {count(len(new), 'arrow')} that {'was' if len(new) == 1 else 'were'} seen",
        )
    if unseen:
        designed = count(sum(seen is not None for seen in _all(graph, "seen").values()), "type")
        return f"{len(unseen)} of {designed} {'was' if len(unseen) == 1 else 'were'} never seen"
    return "All that was designed was seen, and nothing else"


def _facts(catalogue: EventCatalogue, graph: Graph, history: History | None) -> dict[str, str]:
    facts = {}
    if history is None:
        lint = catalogue.lint()
        facts["score"] = f"{lint.score}, {count(len(lint.findings), 'finding')}"
        facts |= {rule: count(times, "finding") for rule, times in lint.broken.items()}
        for kind, name in _KINDS.items():
            facts[f"{name}s"] = grouped(sum(entry.kind == kind for entry in catalogue.types))
    else:
        facts = {name: f"seen {grouped(seen)}" for name, seen in _all(graph, "seen").items() if seen}
        unseen = [name for name, seen in _all(graph, "seen").items() if seen == 0]
        facts |= {"never seen": ", ".join(unseen)} if unseen else {}
    wrong = [f"{start} → {end}" for start, end in graph.edges if graph.edges[start, end]["role"] == "fault"]
    if wrong:
        more = f" and {len(wrong) - FACTS_MAX} more" if len(wrong) > FACTS_MAX else ""
        name = "against a rule" if history is None else "never designed"
        facts[name] = ", ".join(wrong[:FACTS_MAX]) + more
    if orphans := [node for node, kind in _all(graph, "kind").items() if kind == "orphan"]:
        facts["orphans are"] = ", ".join(orphans)
    return facts


def _keys(graph: Graph, history: History | None) -> tuple[Key, ...]:
    kinds = set(_all(graph, "kind").values())
    roles = {graph.edges[edge]["role"] for edge in graph.edges}
    glyphs: dict[str, Any] = {"command": ("bar", "flow"), "domain": ("bar", "done"), "integration": ("bar", "undo")}
    keys: list[Key] = [(*glyphs[kind], name) for kind, name in _KINDS.items() if kind in kinds]
    if "orphan" in kinds:
        keys.append(("hatch", "fault", "orphan state"))
    if history is not None and "wait" in roles:
        keys.append(("dot", "wait", "never seen"))
    if "fault" in roles:
        keys.append(("dash", "fault", "never designed" if history is not None else "against a rule"))
    if history is None and any(_all(graph, "broken").values()):
        keys.append(("cross", "fault", "something found"))
    return tuple(keys)


def _all(graph: Graph, what: str) -> dict[str, Any]:
    """This attribute of every node."""
    return {node: graph.nodes[node][what] for node in graph}
