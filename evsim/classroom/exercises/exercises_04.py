"""Exercises of notebook 04: the design of events."""

from __future__ import annotations

from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.design import Entity, EventCatalogue, EventType, Lint

TYPES, CONTEXTS = 8, 2


def _goods_back() -> EventCatalogue:
    return EventCatalogue(
        EventType("return.parcel", "returns", ("customer",), {"parcel": str, "reason": str}),
        EventType("parcel.returned", "returns", ("return.parcel",), {"parcel": str, "reason": str}, "-> returned"),
        EventType("check.parcel", "returns", ("parcel.returned",), {}),
        EventType("parcel.rejected", "returns", ("check.parcel",), {"fault": str}, "returned -> rejected"),
        EventType("refund.payment", "payment", ("parcel.accepted",), {"value": float}),
        EventType("payment.refunded", "payment", ("refund.payment",), {"value": float}, readers=("payment",)),
        Entity("parcel", {"returned": ("reason",), "accepted": ("value",), "rejected": ("fault",)}),
        name="goods back",
    )


def _loan() -> Entity:
    return Entity("loan", {"begun": ("reader", "book", "due"), "overdue": (), "ended": (), "lost": ("fine",)})


def _missing(event: Any) -> Outcome:
    if not isinstance(event, EventType):
        return broken(f"a {type(event).__name__}, not an EventType", "goods_back", "did you write ev.EventType(…)?")
    lint = _goods_back().plus(event).lint()
    if not lint.ok:
        look = "goods_back.plus(my_event).lint()"
        return broken(_told(lint), look, "which state has no event, and who is waiting for it?")
    return held("for every rule: each state can be reached, and all that must be known in it is told")


def _designed(catalogue: Any) -> Outcome:
    if not isinstance(catalogue, EventCatalogue):
        return broken(f"a {type(catalogue).__name__}, not a catalogue", "loan", "did you write ev.EventCatalogue(…)?")
    if catalogue.entities.get("loan") != _loan():
        return broken("the life of the loan is not as it stood there", "loan", "did you put 'loan' into the catalogue?")
    lint = catalogue.lint()
    if not lint.ok:
        return broken(
            _told(lint), "my_catalogue.lint()", "what does the line 'fix' propose, and what would a reader say?"
        )
    if len(catalogue.names) < TYPES:
        saw = f"{len(catalogue.names)} types, and the story has at least {TYPES}"
        return broken(saw, "ev.causality(my_catalogue)", "which verb of the story has no message yet?")
    if len(catalogue.owners) < CONTEXTS:
        saw = "all types belong to one context"
        return broken(saw, "my_catalogue", "does the one who lends books also write the letters?")
    if not any(entry.kind == "command" for entry in catalogue.types):
        return broken("there is no command", "my_catalogue", "who may say no in this story, and to what?")
    wishes = {wish for fact in _leading_to(catalogue, "begun") for wish in _wishes_before(catalogue, fact)}
    untold = _untold(catalogue, "refused", wishes, "the wish that a loan comes from")
    if untold:
        return broken(untold, "my_catalogue", "what does a reader hear whose book is lent already?")
    lapsed = {fact.type for fact in _leading_to(catalogue, "overdue")}
    untold = _untold(catalogue, "reminded", lapsed, "the event that makes a loan overdue")
    if untold:
        return broken(untold, "my_catalogue", "what happens to the reader when the day has passed?")
    return held(f"for {len(catalogue.names)} types, every rule and every state of the loan")


def _untold(catalogue: EventCatalogue, verb: str, causes: set[str], cause: str) -> str:
    """What is wrong with the facts of this verb, which are to come from one of these causes; nothing when one does."""
    facts = [fact for fact in catalogue.types if fact.type.split(".")[-1] == verb]
    if not facts:
        return f"there is no fact that says {verb!r}"
    if any(_before(catalogue, fact) & causes for fact in facts):
        return ""
    return f"{facts[0].type} does not come from {cause}"


def _leading_to(catalogue: EventCatalogue, state: str) -> list[EventType]:
    return [fact for fact in catalogue.types if fact.after == state and catalogue.entity_of(fact) == _loan()]


def _wishes_before(catalogue: EventCatalogue, fact: EventType) -> list[str]:
    return [entry.type for entry in catalogue.known(_before(catalogue, fact)) if entry.kind == "command"]


def _before(catalogue: EventCatalogue, fact: EventType) -> set[str]:
    """The messages that lead to this one, however far away."""
    found: set[str] = set()
    ahead = list(catalogue.causes(fact))
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [cause for entry in catalogue.known([name]) for cause in catalogue.causes(entry)]
    return found


def _told(lint: Lint) -> str:
    finding = lint.findings[0]
    count = len(lint.findings)
    head = "one finding" if count == 1 else f"{count} findings; the first"
    return f"{head}, {finding.where}: {finding.given}; expected {finding.expected}"


EXERCISES = (
    Exercise("04.1", "The missing event", "with one event more the design has no gap", "my_event", _missing),
    Exercise("04.2", "Design eight events", "a design of the story without a finding", "my_catalogue", _designed),
)
