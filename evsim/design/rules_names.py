"""Rules about names: a fact or a wish, in the words of the business, without versions and techniques."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evsim.design.finding import Finding
from evsim.errors import BadEvent
from evsim.kinds import kind_of

if TYPE_CHECKING:
    from evsim.design.catalogue import EventCatalogue
    from evsim.design.entry import EventType

ROWS = {
    "created": "placed, opened or registered",
    "updated": "address_corrected, or one event for each reason",
    "changed": "address_corrected, or one event for each reason",
    "edited": "corrected",
    "modified": "corrected",
    "deleted": "cancelled, closed or withdrawn",
    "removed": "cancelled, returned or sold_out",
    "inserted": "placed or received",
    "upserted": "placed or corrected",
    "saved": "placed or confirmed",
    "set": "agreed or corrected",
}
"""Participles that speak of rows in a table, and what the business may have meant."""
TECHNICAL = {"data", "database", "db", "dto", "entity", "event", "events", "json", "kafka", "msg", "payload", "row"}
VAGUE = {"handled", "happened", "managed", "occurred", "performed", "processed", "triggered"}
_VERSION = re.compile(r"[._-]?v?\d+$")

Answers = Iterator[tuple[str, Finding | None]]


def grammar(catalogue: EventCatalogue) -> Answers:
    """A type is ``verb.noun``, ``noun.participle`` or ``context.noun.participle``, and what it was meant to be."""
    for entry in catalogue.types:
        try:
            kind = kind_of(entry.type)
        except BadEvent as refusal:
            fix = re.split("— did you mean |; call |; ", str(refusal), maxsplit=1)
            better = f"call it {fix[1].rstrip('?')}" if len(fix) > 1 else "rename it"
            expected = "noun.participle for a fact, verb.noun for a command"
            yield "grammar", Finding("grammar", entry.type, "neither a fact nor a command", expected, better)
            continue
        wrong = entry.meant is not None and entry.meant != kind
        yield "grammar", _not_as_meant(entry, kind) if wrong else None


def _not_as_meant(entry: EventType, kind: str) -> Finding:
    forms = {
        "command": "verb.noun, in the imperative, such as 'take.payment'",
        "domain": "noun.participle, in the past, such as 'payment.taken'",
        "integration": "context.noun.participle, such as 'payment.payment.taken'",
    }
    given = f"the name says {kind}, and it is meant to be {entry.meant}"
    form = forms[str(entry.meant)]
    return Finding("grammar", entry.type, given, form, f"rename it, or let it be {kind}")


def business(catalogue: EventCatalogue) -> Answers:
    """A fact says what happened to the business, not what happened to a row; a reason excuses."""
    for entry in catalogue.types:
        if entry.kind in {"domain", "integration"}:
            last = entry.type.rpartition(".")[2]
            row = next((word for word in reversed(re.split("[_-]", last)) if word in ROWS), None)
            yield "business", _row(entry, row) if row and not entry.because else None


def _row(entry: EventType, word: str) -> Finding:
    given = f"'{word}' says that a row was written, not what happened"
    fix = f"call it {entry.type.rpartition('.')[0]}.{ROWS[word]}; or give because='…'"
    return Finding("business", entry.type, given, "a verb that the business itself uses", fix)


def plain(catalogue: EventCatalogue) -> Answers:
    """No version, no technique, no empty word in a name."""
    for entry in catalogue.types:
        words = re.split("[._-]", entry.type)
        version = _VERSION.search(entry.type) if any(map(str.isalpha, entry.type)) else None
        technical = next((word for word in words if word in TECHNICAL), None)
        vague = next((word for word in words if word in VAGUE), None)
        finding = None
        if version and version.group():
            better = f"call it {entry.type[: version.start()]}, and count its versions in the event's 'version'"
            finding = Finding("plain", entry.type, f"'{version.group()}' is a version", "a name that stays", better)
        elif technical and not entry.because:
            given = f"'{technical}' is about how it is sent or stored"
            finding = Finding("plain", entry.type, given, "words of the business", f"leave '{technical}' out")
        elif vague and not entry.because:
            given = f"'{vague}' could be anything"
            finding = Finding("plain", entry.type, given, "what exactly has happened", "say what the outcome was")
        yield "plain", finding


def nouns(catalogue: EventCatalogue) -> Answers:
    """One thing has one name: the same noun everywhere, in the singular."""
    known = {entry.noun for entry in catalogue.types} | set(catalogue.entities)
    for entry in catalogue.types:
        single = next((form for form in _singulars(entry.noun) if form in known), None)
        finding = None
        if single:
            fix = f"call it {entry.type.replace(entry.noun, single)}"
            finding = Finding("nouns", entry.type, f"'{entry.noun}' here and '{single}' elsewhere", "one noun", fix)
        yield "nouns", finding


def _singulars(noun: str) -> list[str]:
    forms = [noun[:-1]] if noun.endswith("s") else []
    forms += [noun[:-2]] if noun.endswith("es") else []
    return [*forms, f"{noun[:-3]}y"] if noun.endswith("ies") else forms


def contexts(catalogue: EventCatalogue) -> Answers:
    """The first word of an integration event is the context that promises it."""
    for entry in catalogue.types:
        if entry.kind == "integration" and entry.owner:
            first, _, rest = entry.type.partition(".")
            finding = None
            if first != entry.owner:
                given = f"'{first}' in the name, and the owner is '{entry.owner}'"
                finding = Finding(
                    "contexts", entry.type, given, "the owner's name first", f"call it {entry.owner}.{rest}"
                )
            yield "contexts", finding


RULES = (grammar, business, plain, nouns, contexts)
