"""Rules about cause and effect: everything has a cause, nothing goes in circles, a command is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evsim.design import ways
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
    reachable = {*beginnings, *ways.reached(_arrows(catalogue), *beginnings)}
    for entry in catalogue.types:
        finding = None
        if entry.type not in reachable and not entry.caused_by:
            fix = "say what leads to it: caused_by='customer', or the type of an event"
            finding = Finding("reached", entry.type, "nothing leads to it", "a cause", fix)
        yield "reached", finding


def circles(catalogue: EventCatalogue) -> Answers:
    """Nothing is its own cause; a reason at one of the types excuses a circle that ends in practice."""
    arrows = _arrows(catalogue)
    knots = ways.knots(arrows)
    for knot in knots:
        excused = any(entry.because for entry in catalogue.types if entry.type in knot)
        yield "circles", None if excused else _circle(arrows, knot[0])
    for name in catalogue.names:
        if not any(name in knot for knot in knots):
            yield "circles", None


def _circle(arrows: ways.Ways, start: str) -> Finding:
    way = " → ".join(ways.shortest(arrows, start, start))
    fix = "begin the second round with a new cause (an actor, a clock), or give because='…' if it must end"
    return Finding("circles", start, way, "a story that ends", fix)


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


def _arrows(catalogue: EventCatalogue) -> ways.Ways:
    """From each type of the catalogue to its effects."""
    return {name: [effect.type for effect in catalogue.effects(name)] for name in catalogue.names}


RULES = (causes, reached, circles, answered)
