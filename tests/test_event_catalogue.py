"""A catalogue of events: a good one is clean, every planted mistake is found, and a run is set beside its design."""

import itertools
import json

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import evsim as ev
from evsim.design import Entity, EventCatalogue, EventType, ways
from evsim.design import catalogue as catalogue_room
from evsim.errors import BadScenario, UnknownName


def shop():
    """An order shop as it should be: three contexts, one story, a refusal at each door."""
    return EventCatalogue(
        EventType("place.order", "ordering", "customer", {"customer": str, "amount": float}),
        EventType("order.placed", "ordering", "place.order", {"customer": str, "amount": float}, "-> placed"),
        EventType("order.refused", "ordering", "place.order", {"reason": str}, "-> refused"),
        EventType("take.payment", "payment", "order.placed", {"amount": float}),
        EventType("payment.taken", "payment", "take.payment", {"payment_id": str, "amount": float}),
        EventType("payment.declined", "payment", "take.payment", {"reason": str}),
        EventType("payment.payment.taken", "payment", "payment.taken", {"payment_id": str}),
        EventType("payment.payment.declined", "payment", "payment.declined", {"reason": str}),
        EventType("order.paid", "ordering", "payment.payment.taken", {"payment_id": str}, "placed -> paid"),
        EventType("order.cancelled", "ordering", "payment.payment.declined", {"reason": str}, "placed -> cancelled"),
        EventType("ordering.order.paid", "ordering", "order.paid", {"order": str}, readers="analytics"),
        EventType("ship.parcel", "shipping", "order.paid", {}),
        EventType("parcel.shipped", "shipping", "ship.parcel", {"tracking": str}),
        EventType("shipping.parcel.shipped", "shipping", "parcel.shipped", {"tracking": str}),
        EventType("order.shipped", "ordering", "shipping.parcel.shipped", {"tracking": str}, "paid -> shipped"),
        Entity(
            "order",
            {
                "placed": "customer, amount",
                "refused": "reason",
                "paid": "payment_id, amount",
                "cancelled": "reason",
                "shipped": "tracking",
            },
        ),
        name="shop",
    )


def rules(catalogue):
    return set(catalogue.lint().broken)


def test_a_right_catalogue_is_clean():
    lint = shop().lint()
    assert lint.ok, lint
    assert lint.score == 100
    assert lint.line == "shop: score 100, nothing found at 20 types and states"


def renamed(old, new):
    return lambda good: good.replace(old, type=new)


PLANTED = {
    "a fact in the present": ("grammar", renamed("order.placed", "order.place")),
    "a command in the past": ("grammar", renamed("take.payment", "taken.payment")),
    "a sentence for a name": ("grammar", renamed("order.placed", "OrderPlaced!")),
    "a name that says another kind": ("grammar", lambda good: good.replace("order.placed", meant="command")),
    "a row was updated": ("business", renamed("order.paid", "order.updated")),
    "a row was created": ("business", renamed("order.placed", "order.created")),
    "a status was changed": ("business", renamed("order.shipped", "order.status_changed")),
    "a version in the name": ("plain", renamed("order.placed", "order.placed_v2")),
    "a technique in the name": ("plain", renamed("order.placed", "order.event_placed")),
    "an empty verb": ("plain", renamed("payment.taken", "payment.processed")),
    "one thing, two nouns": ("nouns", renamed("order.shipped", "orders.shipped")),
    "somebody else's name first": ("contexts", renamed("payment.payment.taken", "shop.payment.taken")),
    "nobody's event": ("owned", lambda good: good.replace("order.paid", owner="")),
    "two owners": ("owned", lambda good: good.plus(EventType("order.placed", "payment", "place.order", {}))),
    "listed twice": ("owned", lambda good: good.plus(good["order.placed"])),
    "two handlers": ("handler", lambda good: good.replace("take.payment", readers="accounting")),
    "the wrong one says what came of it": ("handler", lambda good: good.replace("payment.declined", owner="ordering")),
    "a domain event read elsewhere": ("at home", lambda good: good.replace("order.paid", readers="analytics")),
    "a domain event with an effect elsewhere": (
        "at home",
        lambda good: good.replace("order.paid", caused_by="payment.taken"),
    ),
    "a cause that nobody knows": ("causes", lambda good: good.replace("ship.parcel", caused_by="order.payed")),
    "out of nothing": ("reached", lambda good: good.replace("ship.parcel", caused_by=())),
    "a circle": ("circles", lambda good: good.replace("take.payment", caused_by="order.placed, payment.declined")),
    "its own cause": ("circles", lambda good: good.replace("take.payment", caused_by="order.placed, take.payment")),
    "a command without an answer": (
        "answered",
        lambda good: good.plus(EventType("send.mail", "mail", "order.paid", {})),
    ),
    "an event for nobody": ("answered", lambda good: good.plus(EventType("parcel.weighed", "shipping", "clock", {}))),
    "nobody said what it carries": ("told", lambda good: good.replace("order.paid", data=None)),
    "a command that changes state": ("told", lambda good: good.replace("ship.parcel", moves="paid -> shipped")),
    "a state that does not exist": ("states", lambda good: good.replace("order.paid", moves="placed -> payed")),
    "a thing that does not exist": ("states", lambda good: good.replace("order.paid", of="basket")),
    "no event leads to a state": (
        "orphans",
        lambda good: good.replace("order.cancelled", moves=""),
    ),
    "born nowhere": ("orphans", lambda good: good.replace("order.placed", moves="paid -> placed")),
    "a field that nobody tells": ("rebuilt", lambda good: good.replace("order.shipped", data={})),
    "a field that one way does not tell": (
        "rebuilt",
        lambda good: good.plus(EventType("order.settled", "ordering", "customer", {"amount": float}, "-> paid")),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_mistake_is_found(name):
    """By its own rule, with given, expected and fix, and the score is below 100."""
    rule, plant = PLANTED[name]
    lint = plant(shop()).lint()
    assert rule in lint.broken, lint
    assert lint.score < 100
    for finding in lint.findings:
        assert finding.where
        assert finding.given
        assert finding.expected
        assert finding.fix


def test_every_rule_has_a_mistake_planted_for_it():
    assert {rule for rule, _ in PLANTED.values()} == set(shop().lint().asked)


@pytest.mark.parametrize("rule", catalogue_room.RULES, ids=lambda rule: rule.__name__)
def test_a_rule_that_is_forgotten_is_noticed(rule, monkeypatch):
    """Without any one of the rules some planted mistake goes unnoticed."""
    monkeypatch.setattr(catalogue_room, "RULES", tuple(each for each in catalogue_room.RULES if each is not rule))
    assert any(name not in plant(shop()).lint().broken for name, plant in PLANTED.values())


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(sorted(PLANTED)), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_mistakes_do_not_hide_one_another(names, chance):
    """Several mistakes at once are found as they were alone, unless one takes away what the other was about."""
    catalogue, expected = shop(), set()
    for name in chance.sample(sorted(names), len(names)):
        rule, plant = PLANTED[name]
        try:
            catalogue = plant(catalogue)
        except UnknownName:  # an earlier mistake has renamed it
            continue
        expected.add(rule)
    assert not catalogue.lint().ok
    assert catalogue.lint().score < 100


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(16)))
def test_the_order_of_the_entries_does_not_matter(order):
    good = shop()
    assert EventCatalogue(*(good.entries[place] for place in order)).lint().ok


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([entry.type for entry in shop().types]))
def test_whatever_is_missing_is_noticed(name):
    """Every entry of the good catalogue is needed: without any one of them something cannot be explained."""
    if name in {"order.refused", "ordering.order.paid", "payment.declined", "place.order"}:
        return
    assert not shop().without(name).lint().ok


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            EventType,
            st.one_of(st.sampled_from([entry.type for entry in shop().types]), st.text(max_size=20)),
            st.sampled_from(["", "ordering", "payment"]),
            st.lists(st.sampled_from(["customer", "order.placed", "x.y", "take.payment"]), max_size=2),
            st.sampled_from([None, {}, {"amount": float}]),
            st.sampled_from(["", "-> placed", "placed -> paid", "a, b -> c"]),
            st.sampled_from(["", "order", "basket"]),
            st.sampled_from([(), "analytics"]),
        ),
        max_size=8,
    )
)
def test_any_catalogue_can_be_judged(entries):
    """Whatever is in it, a catalogue gets a score between 0 and 100, 100 only without findings, and a text."""
    catalogue = EventCatalogue(*entries, shop().entities["order"])
    lint = catalogue.lint()
    assert 0 <= lint.score <= 100
    assert (lint.score == 100) == lint.ok
    assert lint.line in repr(lint)
    assert repr(catalogue)


def test_a_reason_excuses_taste_and_nothing_else():
    crud = shop().replace("order.paid", type="order.updated", because="an old partner reads this name")
    assert crud.lint().ok
    circle = shop().replace("take.payment", caused_by="order.placed, payment.declined", because="three tries at most")
    assert circle.lint().ok
    assert not shop().replace("order.paid", owner="", because="we like it so").lint().ok


def test_one_mistake_is_one_finding():
    """A missing event is told once, where it is missing, and not again at all that follows from it."""
    lint = shop().replace("order.paid", moves="").lint()
    assert [str(finding.where) for finding in lint.of("orphans")] == ["order paid"]
    assert not lint.of("rebuilt")
    assert len(shop().replace("place.order", caused_by=()).lint()) == 1


def test_the_finding_shows_the_shortest_silent_way():
    (finding,) = shop().replace("order.placed", data={"customer": str}).lint().of("rebuilt")[:1]
    assert finding.where == "order placed"
    assert finding.given == "order.placed tells nothing of 'amount'"
    (later,) = shop().replace("order.placed", data={"customer": str}).lint().of("rebuilt")[1:]
    assert later.given == "order.placed → order.paid tell nothing of 'amount'"


def test_the_circle_is_shown():
    (finding,) = shop().replace("take.payment", caused_by="order.placed, payment.declined").lint().findings
    assert finding.given == "take.payment → payment.declined → take.payment"


# ---------------------------------------------------------------- values


def test_a_catalogue_is_a_value():
    assert shop() == shop()
    assert hash(shop()) == hash(shop())
    assert shop() != shop().without("order.paid")
    assert shop().called("other") != shop()
    with pytest.raises(BadScenario, match="cannot be changed"):
        shop().name = "other"
    shop()["order.placed"].model  # noqa: B018 - asking for the model leaves the value as it was
    assert hash(shop()["order.placed"]) == hash(shop()["order.placed"])


def test_a_new_name_is_known_to_its_effects():
    assert shop().replace("order.placed", type="order.accepted")["take.payment"].caused_by == ("order.accepted",)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: EventType("order.placed", moves="paid"), "placed, paid -> cancelled"),
        (lambda: EventType("order.placed", moves="a -> b, c"), "placed, paid -> cancelled"),
        (lambda: EventType("order.placed", data={"amount": "nmber"}), "whole number"),
        (lambda: EventType("order.placed", data={"amount": object()}), "JSON cannot hold"),
        (lambda: EventType("order.placed", data={"the amount": float}), "cannot name a field"),
        (lambda: EventType("order.placed", data=[1]), "pydantic model"),
        (lambda: EventType("order.placed", ownr="shop"), "did you mean 'owner'"),
        (lambda: EventCatalogue("order.placed"), "no entry of a catalogue"),
        (lambda: EventCatalogue(Entity("order", "placed"), Entity("order", "paid")), "given twice"),
        (lambda: EventCatalogue(name=" "), "is refused"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(BadScenario, match=sentence) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_an_unknown_type_is_named_with_the_one_probably_meant():
    with pytest.raises(UnknownName, match=r"did you mean 'order\.placed'"):
        shop()["order.place"]


# ---------------------------------------------------------------- written down


def test_payloads_are_schemas():
    class Placed(BaseModel):
        customer: str
        amount: float

    catalogue = shop().replace("order.placed", data=Placed)
    registry = catalogue.registry()
    assert registry.types == catalogue.names
    assert registry.model("order.placed") is Placed
    assert registry.json_schema("payment.taken")["required"] == ["payment_id", "amount"]


def test_the_catalogue_is_an_asyncapi_document():
    document = shop().to_asyncapi()
    messages = document["components"]["messages"]
    assert set(messages) == set(shop().names)
    assert messages["order.paid"]["payload"]["required"] == ["payment_id"]
    for owner, channel in document["channels"].items():
        assert {shop()[name].owner for name in channel["messages"]} == {owner}
    assert ev.Scenario.from_asyncapi(json.dumps(document)).parts


# ---------------------------------------------------------------- a run beside its design


def emits(*emitted):
    """A handler that answers every event with these, in order."""

    def handler(event, ctx):
        for event_type, data in emitted:
            ctx.emit(event_type, data)

    return handler


PAID = {"payment_id": "p-1"}
SHIPPED = {"tracking": "t-1"}
HANDLERS = {
    "ordering": {
        "place.order": emits(("order.placed", {"customer": "Ada", "amount": 3.0})),
        "order.placed": emits(("take.payment", {"amount": 3.0})),
        "payment.payment.taken": emits(("order.paid", PAID)),
        "order.paid": emits(("ordering.order.paid", {"order": "1"}), ("ship.parcel", {})),
        "shipping.parcel.shipped": emits(("order.shipped", SHIPPED)),
    },
    "payment": {
        "take.payment": emits(("payment.taken", PAID | {"amount": 3.0})),
        "payment.taken": emits(("payment.payment.taken", PAID)),
    },
    "shipping": {
        "ship.parcel": emits(("parcel.shipped", SHIPPED)),
        "parcel.shipped": emits(("shipping.parcel.shipped", SHIPPED)),
    },
}


def lived(until_s=20.0, **instead):
    """A run of the shop, each context a consumer; ``instead`` gives a context other handlers."""
    contexts = HANDLERS | {name: HANDLERS[name] | handlers for name, handlers in instead.items()}
    return (
        ev.Scenario(
            ev.Publisher("web", to="log", rate=2, type="place.order", data={"customer": "Ada", "amount": 3.0}, count=9),
            ev.Log("log"),
            *(ev.Consumer(name, of="log", on=on, context=name) for name, on in contexts.items()),
        )
        .run(until_s=until_s, seed=7)
        .history
    )


def test_a_run_as_designed_is_as_designed():
    compared = shop().compare(lived())
    assert compared.ok, compared
    assert set(compared.never_seen) == {
        "order.refused",
        "payment.declined",
        "payment.payment.declined",
        "order.cancelled",
    }
    assert compared.edges["take.payment", "payment.taken"] == 9
    assert compared.edges["outside", "place.order"] == 9
    assert compared.states == {"order": {"shipped": 9}}
    assert "as designed" in repr(compared)


def test_what_was_never_designed_is_seen():
    """A surprise in the code: an event that nobody has designed, and one with a cause that nobody has designed."""
    surprise = emits(("payment.taken", PAID | {"amount": 3.0}), ("customer.greeted", {}))
    compared = shop().compare(lived(payment={"take.payment": surprise}))
    assert compared.never_designed == ("customer.greeted",)
    assert not compared.ok
    early = emits(("order.placed", {"customer": "Ada", "amount": 3.0}), ("take.payment", {"amount": 3.0}))
    compared = shop().compare(lived(ordering={"place.order": early, "order.placed": emits()}))
    assert compared.edges_never_designed == (("place.order", "take.payment"),)
    assert ("order.placed", "take.payment") in compared.edges_never_seen
    assert "take.payment" in repr(compared)


def test_a_payload_that_is_not_as_designed_is_counted_with_a_reason():
    compared = shop().compare(lived(shipping={"ship.parcel": emits(("parcel.shipped", {"number": 1}))}))
    times, why = compared.misfits["parcel.shipped"]
    assert times == 9
    assert "tracking" in why


def test_a_missing_event_leaves_a_gap_in_every_story():
    """The order is shipped, and no event has said that it was paid: whoever rebuilds it must guess."""
    silent = emits(("ordering.order.paid", {"order": "1"}), ("ship.parcel", {}))
    compared = shop().compare(lived(ordering={"payment.payment.taken": silent}))
    assert len(compared.jumps) == 9
    assert {(jump.state, jump.type) for jump in compared.jumps} == {("placed", "order.shipped")}
    assert "order.paid" in compared.never_seen
    assert "gap" in repr(compared)


def test_a_fact_told_twice_is_no_gap():
    """Ordering says twice that the order is paid: known already, and told apart from what is missing."""
    twice = emits(("order.paid", PAID), ("order.paid", PAID))
    compared = shop().compare(lived(ordering={"payment.payment.taken": twice, "order.paid": emits()}))
    assert {(jump.again, jump.state, jump.type) for jump in compared.jumps} == {(True, "paid", "order.paid")}
    assert "told again" in repr(compared)
    assert "said again" in str(compared.jumps[0])


def test_a_wrong_clock_makes_no_gap():
    """Timestamps are somebody's clock; the order in which things happened is not read from them."""
    skewed = ev.History()
    for number, event in enumerate(lived().events):
        skewed.add(ev.Event.from_dict(event.to_dict() | {"timestamp": 1000.0 - number}))
    assert not shop().compare(skewed).jumps


def test_causes_known_by_name_are_followed():
    """A history written from events, whose causes are names, has the same edges."""
    run = lived()
    copy = ev.History()
    for event in run.events:
        copy.add(ev.Event.from_dict(event.to_dict()))
    assert shop().compare(copy).edges == shop().compare(run).edges
    lost = ev.History()
    lost.add(ev.Event("a.1", "order.paid", 1.0, "a", PAID, causation_id="nobody.7"))
    assert shop().compare(lost).edges == {("outside", "order.paid"): 1}


def test_an_empty_history_has_seen_nothing():
    compared = shop().compare(ev.History())
    assert compared.ok
    assert compared.never_seen == shop().names
    assert not compared.seen


# ---------------------------------------------------------------- arrows


ARROWS = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3), max_size=6).map(
    lambda arrows: {name: arrows.get(name, []) for name in "abcdef"}
)


@settings(max_examples=100, deadline=None)
@given(ARROWS, st.sampled_from("abcdef"), st.sampled_from("abcdef"))
def test_arrows_are_followed_as_networkx_follows_them(arrows, start, end):
    graph = nx.DiGraph([(name, after) for name, afters in arrows.items() for after in afters])
    graph.add_nodes_from(arrows)
    beyond = {after for name in graph.successors(start) for after in {name} | nx.descendants(graph, name)}
    assert ways.reached(arrows, start) == beyond
    way = ways.shortest(arrows, start, end)
    assert bool(way) == (end in beyond)
    if way and start != end:
        assert len(way) == nx.shortest_path_length(graph, start, end) + 1
    assert all(after in arrows[before] for before, after in itertools.pairwise(way))
    tied = [knot for knot in nx.strongly_connected_components(graph) if len(knot) > 1]
    tied += [{name} for name in graph if graph.has_edge(name, name) and not any(name in knot for knot in tied)]
    assert sorted(map(sorted, ways.knots(arrows))) == sorted(map(sorted, tied))
