"""Rules about state: every state of a thing, and all that must be known in it, can be rebuilt from events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evsim.design.finding import Finding
from evsim.design.ways import reached
from evsim.errors import a_or_an, did_you_mean

if TYPE_CHECKING:
    from evsim.design.catalogue import EventCatalogue
    from evsim.design.entry import Entity, EventType
    from evsim.design.rules_names import Answers

BIRTH = ""
"""The state of what is not born yet."""


def told(catalogue: EventCatalogue) -> Answers:
    """Payloads are decided, and only facts change state."""
    for entry in catalogue.types:
        fix = "list its fields in data={…}; {} when the key says it all"
        finding = Finding("told", entry.type, "nobody has said what it carries", "a payload", fix)
        yield "told", finding if entry.data is None else None
        if entry.moves:
            given = f"a command that moves {entry.moves}"
            fix = "move the change of state to the event that follows; a command may be refused"
            wrong = Finding("told", entry.type, given, "a fact: only what has happened changes state", fix)
            yield "told", wrong if entry.kind == "command" else None


def states(catalogue: EventCatalogue) -> Answers:
    """A change of state names a thing of the catalogue and its states."""
    for entry in catalogue.types:
        if not entry.moves:
            continue
        entity = catalogue.entity_of(entry)
        if entity is None:
            name = entry.of or entry.noun
            hint = did_you_mean(name, catalogue.entities)
            fix = (
                hint.removeprefix(" — ") if "did you mean" in hint else f"add Entity('{name}', …), or name it with of="
            )
            yield (
                "states",
                Finding("states", entry.type, f"it moves '{name}', of which no state is known", "a thing", fix),
            )
            continue
        unknown = next((state for state in (*entry.before, entry.after) if state not in entity.states), None)
        finding = None
        if unknown is not None:
            hint = did_you_mean(unknown, entity.states)
            known = f"a state of {entity.name}: {', '.join(entity.states)}"
            fix = hint.removeprefix(" — ") if "did you mean" in hint else f"add '{unknown}' to the states"
            finding = Finding("states", entry.type, f"'{unknown}' is no state of {entity.name}", known, fix)
        yield "states", finding


def orphans(catalogue: EventCatalogue) -> Answers:
    """Every state can be reached by events, from birth."""
    for entity in catalogue.entities.values():
        arrows: dict[str, list[str]] = {}
        for before, after, _ in _ways(catalogue, entity):
            arrows.setdefault(before, []).append(after)
        into = {after for each in arrows.values() for after in each}
        alone = [state for state in entity.states if state not in into]
        excused = reached(arrows, *alone)
        reachable = reached(arrows, BIRTH)
        for state in entity.states:
            place, finding = f"{entity.name} {state}", None
            if state in alone:
                fix = (
                    f"find the event that makes {a_or_an(entity.name)} '{state}', and add it with moves='… -> {state}'"
                )
                finding = Finding("orphans", place, "no event leads to this state", "at least one that does", fix)
            elif state not in reachable and state not in excused:
                fix = f"add the event with which {a_or_an(entity.name)} is born, moves='-> …', or the step between"
                finding = Finding("orphans", place, "no way leads here from birth", "a way of events", fix)
            yield "orphans", finding


def rebuilt(catalogue: EventCatalogue) -> Answers:
    """What must be known in a state has been told by events on every way there."""
    for entity in catalogue.entities.values():
        ways = list(_ways(catalogue, entity))
        for state, needed in entity.states.items():
            if all(after != state for _, after, _ in ways):
                continue
            for field in needed:
                silent = _way_without(ways, state, field)
                finding = None
                if silent is not None:
                    way = " → ".join(entry.type for entry in silent)
                    given = f"{way} {'tells' if len(silent) == 1 else 'tell'} nothing of '{field}'"
                    expected = f"'{field}' known whenever {a_or_an(entity.name)} is {state}"
                    fix = f"put '{field}' into {silent[-1].type}, or into an event before it"
                    finding = Finding("rebuilt", f"{entity.name} {state}", given, expected, fix)
                yield "rebuilt", finding


Way = tuple[str, str, "EventType"]


def _ways(catalogue: EventCatalogue, entity: Entity) -> Iterator[Way]:
    for entry in catalogue.types:
        if entry.moves and catalogue.entity_of(entry) is entity and entry.kind != "command":
            for before in entry.before or (BIRTH,):
                yield before, entry.after, entry


def _way_without(ways: list[Way], state: str, field: str) -> list[EventType] | None:
    """The shortest way of events from birth to this state on which the field is never told."""
    found: dict[str, list[EventType]] = {BIRTH: []}
    ahead = [BIRTH]
    for here in ahead:
        for before, after, entry in ways:
            silent = entry.fields is not None and field not in entry.fields
            if before == here and silent and after not in found:
                found[after] = [*found[here], entry]
                ahead.append(after)
    return found.get(state)


RULES = (told, states, orphans, rebuilt)
