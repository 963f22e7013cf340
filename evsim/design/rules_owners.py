"""Rules about owners: one each, who handles a command says what came of it, and domain events stay at home."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from evsim.design.finding import Finding

if TYPE_CHECKING:
    from evsim.design.catalogue import EventCatalogue
    from evsim.design.entry import EventType
    from evsim.design.rules_names import Answers


def owned(catalogue: EventCatalogue) -> Answers:
    """Every type has one owner, and stands in the catalogue once."""
    times = Counter(entry.type for entry in catalogue.types)
    for name in times:
        entries = [entry for entry in catalogue.types if entry.type == name]
        owners = list(dict.fromkeys(entry.owner for entry in entries))
        finding = None
        if len(owners) > 1:
            given = f"owned by {' and by '.join(owner or 'nobody' for owner in owners)}"
            finding = Finding("owned", name, given, "one context that may publish or change it", "keep one of them")
        elif len(entries) > 1:
            finding = Finding("owned", name, f"listed {len(entries)} times", "one entry a type", "make one of them")
        elif not owners[0]:
            given, fix = "nobody owns it", "name the context that publishes it, with owner='…'"
            if entries[0].kind == "command":
                fix = "name the one context that handles it, with owner='…'"
            finding = Finding("owned", name, given, "one owner", fix)
        yield "owned", finding


def answered_by(catalogue: EventCatalogue) -> Answers:
    """What a command leads to is told by the context that handled it; nobody else listens to a command."""
    for entry in catalogue.types:
        if entry.kind == "command":
            others = [reader for reader in entry.readers if reader != entry.owner]
            finding = None
            if others and entry.owner:
                handlers = ", ".join([entry.owner, *others])
                fix = f"let {entry.owner} handle it and publish an event; the others read that"
                finding = Finding("handler", entry.type, f"handled by {handlers}", "exactly one handler", fix)
            yield "handler", finding
            continue
        for command in catalogue.known(catalogue.causes(entry)):
            if command.kind != "command" or not command.owner or not entry.owner:
                continue
            finding = None
            if command.owner != entry.owner:
                given = f"{command.owner} handles {command.type}, and {entry.owner} says what came of it"
                expected = "the handler of a command says what came of it"
                fix = f"let {command.owner} own {entry.type}, or let {entry.owner} handle {command.type}"
                finding = Finding("handler", entry.type, given, expected, fix)
            yield "handler", finding


def at_home(catalogue: EventCatalogue) -> Answers:
    """A domain event does not leave its context; an integration event does it in its place."""
    for entry in catalogue.types:
        if entry.kind != "domain" or not entry.owner:
            continue
        away = [reader for reader in entry.readers if reader != entry.owner]
        away += [
            effect.owner
            for effect in catalogue.effects(entry.type)
            if effect.kind in {"domain", "integration"} and effect.owner not in {"", entry.owner}
        ]
        yield "at home", _leak(entry, list(dict.fromkeys(away))) if away else None


def _leak(entry: EventType, away: list[str]) -> Finding:
    given = f"a domain event of {entry.owner}, read by {', '.join(away)}"
    fix = f"publish {entry.owner}.{entry.type} for them, caused by {entry.type}"
    return Finding("at home", entry.type, given, f"only {entry.owner} reads it", fix)


RULES = (owned, answered_by, at_home)
