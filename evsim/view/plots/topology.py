"""The parts of a run from left to right, how much flowed between them, and where the work piles up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.view import measures
from evsim.view.faults import outages
from evsim.view.figure import Figure, empty
from evsim.view.ledger import window
from evsim.view.owners import ownings
from evsim.view.scene import natural
from evsim.view.series import consumers_of, most_waiting
from evsim.view.words import claim_of, count, grouped, rate, share, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.causes import Graph
    from evsim.view.sheet import Key, Sheet

PARTITIONS_MAX = 6
BUSY = 0.8
TOP, BETWEEN, BACK, DOWN = 92, 20, 40, 52
"""Pixels: where the boxes begin, what lies between two of them, what an edge that leads back needs below, and what
lies between two lines of boxes."""
ABREAST = 7
"""So many columns fit on one line; more go on below, like words."""


def topology(history: History, *, from_s: float | None = None, to_s: float | None = None) -> Figure:
    """The graph of the parts with rates on its edges, over the whole run or a window of it."""
    from evsim.view.causes import layers, topology_graph, without_circles

    graph = topology_graph(history, from_s, to_s)
    if not len(graph):
        return empty("There are no parts in this history", "Nothing to draw: a history written by hand has no parts.")
    low, high = window(history, from_s, to_s)
    _describe(graph, history, low, high)
    columns = layers(graph)
    back = [(a, b) for a, b in graph.edges if not without_circles(graph).has_edge(a, b)]
    bands = _bands(columns)
    needs = [_tallest(graph, band) for band in bands]
    height = int(max(210, TOP + sum(needs) + DOWN * (len(bands) - 1) + 12 + (BACK + 8 * len(back) if back else 0)))
    seed = history.meta.get("seed")
    subtitle = f"From {si(low, 's')} to {si(high, 's')}. Numbers on arrows: events per second"
    subtitle += f"; seed {seed}." if seed is not None else "."

    def draw(sheet: Sheet) -> None:
        from evsim.view.plots.boxes import draw_graph

        draw_graph(sheet, graph, bands, needs, set(back))

    return Figure(_claim(graph), subtitle, _facts(graph, seed), draw, height=height, keys=_keys(graph))


def _bands(columns: list[list[str]]) -> list[list[list[str]]]:
    """The columns on as few lines as they need, about as many on each."""
    lines = -(-len(columns) // ABREAST)
    each = -(-len(columns) // lines)
    return [columns[begin : begin + each] for begin in range(0, len(columns), each)]


def _tallest(graph: Graph, band: list[list[str]]) -> float:
    return float(max(sum(graph.nodes[node]["height"] + BETWEEN for node in column) for column in band))


# -------------------------------------------------------------------- what stands in the boxes


def _describe(graph: Graph, history: History, low: float, high: float) -> None:
    """Note, height, busy share, what waits, and whether it is down: of each node."""
    busy = measures.utilisations(history, from_s=low, to_s=high)
    waiting = most_waiting(history, low, high)
    down = {
        out.node: high - out.start_s for out in outages(history, high) if out.step == "crashed" and out.end_s >= high
    }
    owned: dict[str, list[str]] = {}
    for group in consumers_of(history):
        for owning in ownings(history, group, high):
            if owning.end_s >= high:
                owned.setdefault(owning.member, []).append(owning.place.rpartition("/")[2])
    for node, data in graph.nodes(data=True):
        data["down_s"] = down.get(node, _all_down(node, data.get("members", 1), down))
        shares = [share for member, share in busy.items() if member == node or member.startswith(f"{node}-")]
        data["busy"] = sum(shares) / len(shares) if shares and data["kind"] == "consumer" else None
        data["source"] = history.parts.get(data["part"].get("of") or "", {}).get("kind", "log")
        data["note"] = _note(data, sorted(owned.get(node, []), key=natural))
        data["height"] = 46.0 if data["busy"] is None else 58.0
        if data["kind"] == "log":
            places = [f"{node}/{number}" for number in range(data["part"].get("partitions", 1))]
            worst = sorted(places, key=lambda place: -waiting.get(place, 0))[:PARTITIONS_MAX]
            shown = [place for place in places if place in worst]
            data["waiting"] = {place.rpartition("/")[2]: waiting.get(place, 0) for place in shown}
            data["more"] = len(places) - len(shown)
            data["height"] = 34.0 + 18 * len(shown) + (14 if data["more"] else 0)


def _all_down(node: str, members: int, down: dict[str, float]) -> float | None:
    """For how long nobody of a group that is drawn as one box has been there."""
    since = [down.get(f"{node}-{number}") for number in range(1, members + 1)]
    return None if members < 2 or None in since else min(each for each in since if each is not None)


def _note(data: dict[str, Any], owned: list[str]) -> str:
    part = data["part"]
    if data["down_s"] is not None:
        return f"down for {si(data['down_s'], 's')}"
    match data["kind"]:
        case "publisher" | "clients":
            given = part.get("rate")
            return f"Poisson {given:g}/s" if isinstance(given, int | float) else part.get("type", "")
        case "consumer":
            if data["members"] > 1:
                return count(data["members"], "member")
            if data["source"] != "log":
                return f"prefetch {part.get('prefetch') or 'unlimited'}"
            if len(owned) > 3:
                return count(len(owned), "partition")
            return f"partition{'s' if len(owned) > 1 else ''} {', '.join(owned)}" if owned else "no partition"
        case "service":
            given = part.get("availability", 1.0)
            return f"there {share(given)}" if given < 1 else "always there"
        case "queue" | "exchange":
            return f"{part.get('type', '')} {data['kind']}"
        case "event_store":
            return f"durability {part.get('durability')}"
        case "pubsub":
            return "stream" if part.get("stream") else "pub/sub"
        case kind:
            return str(kind) if kind != "log" else ""


# -------------------------------------------------------------------- words


def _claim(graph: Graph) -> str:
    down = [node for node, data in graph.nodes(data=True) if data["down_s"] is not None]
    if down:
        longest = max(down, key=lambda node: graph.nodes[node]["down_s"])
        others = f"{len(down)} parts are down at the end, {longest}"
        return f"{others if len(down) > 1 else longest} has been down for {si(graph.nodes[longest]['down_s'], 's')}"
    busiest = max(graph, key=lambda node: graph.nodes[node]["busy"] or 0.0)
    busy = graph.nodes[busiest]["busy"] or 0.0
    lost = sum(data["lost"] for *_, data in graph.edges(data=True))
    if lost:
        worst = max(graph.edges(data=True), key=lambda edge: edge[2]["lost"])
        return claim_of(
            f"{count(lost, 'event')} lost on the way from {worst[0]} to {worst[1]}",
            f"{count(lost, 'event')} lost on the way",
        )
    if busy >= BUSY:
        return f"{busiest} is the bottleneck: at work {share(busy)} of the time"
    if busy > 0:
        return f"{busiest} is busiest: at work {share(busy)} of the time"
    services = sum(data["kind"] == "service" for _, data in graph.nodes(data=True))
    if services:
        return f"A request is answered when {count(services, 'service')} {'have' if services > 1 else 'has'} answered"
    return "Nobody was at work"


def _facts(graph: Graph, seed: object) -> dict[str, str]:
    facts = {}
    for start, end, data in graph.edges(data=True):
        lost = f", {grouped(data['lost'])} lost" if data["lost"] else ""
        facts[f"{start} to {end}"] = f"{rate(data['rate'])}{lost}"
    for node, data in graph.nodes(data=True):
        if data["busy"] is not None:
            facts[node] = f"{share(data['busy'])} busy, {data['note']}"
        elif data["kind"] == "log":
            facts[node] = f"{grouped(max(data['waiting'].values()))} waiting at most"
        elif data["kind"] == "event_store":
            facts[node] = data["note"]
        elif data["kind"] == "service":
            facts[node] = data["note"] + (" of the time" if data["note"].startswith("there") else "")
    services = sum(data["kind"] == "service" for _, data in graph.nodes(data=True))
    facts |= {"services": str(services)} if services else {}
    lost = sum(data["lost"] for *_, data in graph.edges(data=True))
    facts |= {"lost": grouped(lost)} if lost else {}
    down = sum(data["down_s"] is not None for _, data in graph.nodes(data=True))
    facts |= {"down": grouped(down)} if down else {}
    return facts | ({"seed": str(seed)} if seed is not None else {})


def _keys(graph: Graph) -> tuple[Key, ...]:
    kinds = {data["kind"] for _, data in graph.nodes(data=True)}
    keys: list[Key] = [("line", "flow", "events per second (width)")]
    if any(not data["rate"] for *_, data in graph.edges(data=True)):
        keys.append(("line", "fault", "nothing came"))
    if any(data["lost"] for *_, data in graph.edges(data=True)):
        keys.append(("cross", "fault", "lost on the way"))
    if "log" in kinds:
        keys.append(("bar", "flow", "waiting at most"))
    if any(data["busy"] is not None for _, data in graph.nodes(data=True)):
        keys.append(("bar", "done", "share of time at work"))
    return tuple(keys)
