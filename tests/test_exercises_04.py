"""The judges of notebook 04 let good designs pass and say where others have a gap."""

from __future__ import annotations

import pytest

import evsim as ev
from evsim import classroom


def accepted(**changes):
    settings = {"caused_by": "check.parcel", "data": {"value": float}, "moves": "returned -> accepted"} | changes
    return ev.EventType("parcel.accepted", "returns", **settings)


@pytest.mark.parametrize(
    ("event", "state", "saw"),
    [
        (accepted(), "held", ""),
        (accepted(data={}), "broken", "nothing of 'value'"),
        (accepted(moves="rejected -> accepted"), "held", ""),
        (accepted(moves="accepted -> accepted"), "broken", "no way leads here from birth"),
        (accepted(moves=""), "broken", "no event leads to this state"),
        (accepted(caused_by=()), "broken", "nothing leads to it"),
        (ev.EventType("parcel.updated", "returns", "check.parcel", {}), "broken", "findings; the first"),
        ("parcel.accepted", "broken", "not an EventType"),
    ],
    ids=["found", "silent", "second thoughts", "no way", "no state", "no cause", "a row", "text"],
)
def test_the_missing_event_is_judged_by_the_rules(event, state, saw):
    outcome = classroom.check("04.1", event)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


WISH = {"reader": str, "book": str}
LOAN = ev.Entity("loan", {"begun": "reader, book, due", "overdue": "", "ended": "", "lost": "fine"})


def library(*, post="post", loan=LOAN, due=None):
    due = {"due": str} if due is None else due
    return ev.EventCatalogue(
        ev.EventType("lend.book", "lending", "reader", WISH),
        ev.EventType("book.refused", "lending", "lend.book", WISH, readers="lending"),
        ev.EventType("loan.begun", "lending", "lend.book", WISH | due, "-> begun"),
        ev.EventType("loan.overdue", "lending", "clock", {}, "begun -> overdue"),
        ev.EventType("remind.reader", post, "loan.overdue", {"reader": str}),
        ev.EventType("reader.reminded", post, "remind.reader", {}, readers=post),
        ev.EventType("loan.ended", "lending", "reader", {}, "begun, overdue -> ended"),
        ev.EventType("loan.lost", "lending", "librarian", {"fine": float}, "begun, overdue -> lost"),
        loan,
    )


def groceries(*more):
    """Four types about something else, and the life of the loan."""
    return library().without("lend.book", "book.refused", "remind.reader", "reader.reminded").replace(
        "loan.begun", caused_by="reader"
    ).plus(
        ev.EventType("buy.bread", "kitchen", "cook", {}),
        ev.EventType("bread.bought", "kitchen", "buy.bread", {}, readers="kitchen"),
        ev.EventType("buy.milk", "kitchen", "cook", {}),
        ev.EventType("milk.bought", "kitchen", "buy.milk", {}, readers="kitchen"),
        *more,
    )  # fmt: skip


def promised():
    """What the post reads is a promise of lending: the reminder comes from the overdue loan by way of it."""
    told = ev.EventType("lending.loan.overdue", "lending", "loan.overdue", {}, readers="post")
    return library().plus(told).replace("remind.reader", caused_by="lending.loan.overdue")


@pytest.mark.parametrize(
    ("catalogue", "state", "saw"),
    [
        (library(), "held", ""),
        (library(post="lending"), "broken", "one context"),
        (library(due={}), "broken", "nothing of 'due'"),
        (library(loan=ev.Entity("loan", "begun, ended")), "broken", "the life of the loan"),
        (library().without("loan.lost"), "broken", "no event leads to this state"),
        (library().without("book.refused"), "broken", "7 types"),
        (library().replace("loan.ended", type="loan.updated"), "broken", "a row was written"),
        (library().replace("loan.ended", type="loan.end"), "broken", "expected"),
        (library().replace("loan.ended", owner=""), "broken", "nobody owns it"),
        (
            library().replace("remind.reader", caused_by="loan.overdue, reader.reminded"),
            "broken",
            "remind.reader → reader.reminded → remind.reader",
        ),
        ("library", "broken", "not a catalogue"),
        (promised(), "held", ""),
        (groceries(), "broken", "there is no fact that says 'refused'"),
        (
            groceries(ev.EventType("milk.refused", "kitchen", "buy.milk", {}, readers="kitchen")),
            "broken",
            "milk.refused does not come from the wish that a loan comes from",
        ),
        (
            library().replace("reader.reminded", type="reader.informed"),
            "broken",
            "there is no fact that says 'reminded'",
        ),
        (
            library().replace("remind.reader", caused_by="loan.begun"),
            "broken",
            "reader.reminded does not come from the event that makes a loan overdue",
        ),
    ],
    ids=[
        "good",
        "one context",
        "silent",
        "short life",
        "gap",
        "seven",
        "row",
        "present",
        "nobody",
        "circle",
        "text",
        "promised",
        "bread and milk",
        "milk refused",
        "informed",
        "reminded too early",
    ],
)
def test_a_design_is_judged_by_names_owners_reach_circles_and_states(catalogue, state, saw):
    outcome = classroom.check("04.2", catalogue)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome
