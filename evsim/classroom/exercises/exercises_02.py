"""Exercises of notebook 02: the kinds of messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.design import EventCatalogue

KINDS = ("command", "domain", "integration")
_WISHES = {1, 4, 8, 10, 13, 16, 19}
_CONTRACTS = {3, 6, 12, 14, 18}
COUNT = 20


def _truth(number: int) -> str:
    return "command" if number in _WISHES else "integration" if number in _CONTRACTS else "domain"


def _classified(kinds: Any) -> Outcome:
    if not isinstance(kinds, Mapping):
        return broken(f"a {type(kinds).__name__}, not a mapping", "messages", "which word belongs to number 1?")
    missing = [number for number in range(1, COUNT + 1) if number not in kinds]
    if missing:
        return broken(f"no word for number {missing[0]}", f"messages[{missing[0]}]", "which of the three is it?")
    odd = next((number for number in range(1, COUNT + 1) if kinds[number] not in KINDS), None)
    if odd is not None:
        return broken(f"{kinds[odd]!r} for number {odd}", "messages", f"which of {', '.join(KINDS)} did you mean?")
    wrong = [number for number in range(1, COUNT + 1) if kinds[number] != _truth(number)]
    if not wrong:
        return held(f"for {COUNT} messages")
    first = wrong[0]
    saw = (
        f"{COUNT - len(wrong)} of {COUNT} are right; number {first} is not {_a(kinds[first])}: {_reason(first, kinds)}"
    )
    return broken(saw, f"messages[{first}]", "has it happened already, and if it has, who reads it?")


def _reason(number: int, kinds: Mapping[int, str]) -> str:
    """Which rule of the kind that was chosen does not fit."""
    given, truth = kinds[number], _truth(number)
    if given == "command":
        return "nobody can refuse it any more"
    if truth == "command":
        return "it has not happened yet, and somebody may still say no"
    if given == "domain":
        return "it is read outside the context that tells it"
    return "nobody outside was promised it"


def _a(kind: str) -> str:
    return f"an {kind} event" if kind == "integration" else "a command" if kind == "command" else f"a {kind} event"


def _repaired(design: Any) -> Outcome:
    if not isinstance(design, EventCatalogue):
        return broken(f"a {type(design).__name__}, not a catalogue", "sick", "did you begin with sick.replace(…)?")
    lint = design.lint()
    if not lint.ok:
        finding = lint.findings[0]
        saw = f"{len(lint)} findings; the first, {finding.where}: {finding.given}, expected {finding.expected}"
        return broken(saw, "my_design.lint()", "what does the line 'fix' propose, and is it what the business means?")
    gone = _lost(design)
    if gone:
        return broken(gone, "ev.causality(my_design)", "who was told something before, and is not told now?")
    return held("for every rule of the catalogue, and nobody was left out")


def _lost(design: EventCatalogue) -> str:
    """What the sick design told that the repaired one does not."""
    commands = {entry.owner: entry for entry in design.types if entry.kind == "command"}
    if "ordering" not in commands or "payment" not in commands:
        return "a wish to ordering and one to payment were there, and are not there now"
    if not any(entry.after == "placed" for entry in design.types):
        return "no event says any more that an order was placed"
    taken = [entry for entry in design.types if entry.owner == "payment" and entry.kind == "integration"]
    hearing = {reader for entry in taken for reader in entry.readers}
    hearing |= {effect.owner for entry in taken for effect in design.effects(entry.type)}
    deaf = [team for team in ("accounting", "analytics") if team not in hearing]
    return f"{' and '.join(deaf)} no longer hear of payments" if deaf else ""


EXERCISES = (
    Exercise("02.1", "Which kind is it?", "every message has its kind", "my_kinds", _classified),
    Exercise("02.2", "Repair three", "no rule is broken, and everybody hears what they heard", "my_design", _repaired),
)
