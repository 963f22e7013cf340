"""The figure of causes: a row for each type, no arrow behind a box, and what a run has shown beside the design."""

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_event_catalogue import PAID, PLANTED, emits, lived, shop

import evsim as ev
from evsim.view.causality import causality_graph, lanes, rows, tracks
from evsim.view.words import CLAIM_MAX

NAMES = [f"{noun}.{verb}" for noun in ("order", "parcel", "stock") for verb in ("placed", "taken", "sent")]
CATALOGUES = st.lists(
    st.builds(
        ev.EventType,
        st.sampled_from([*NAMES, "take.order", "send.parcel", "x"]),
        st.sampled_from(["", "a", "b", "c"]),
        st.lists(st.sampled_from([*NAMES, "customer", "clock", "y.z"]), max_size=3),
    ),
    min_size=1,
    max_size=14,
).map(lambda entries: ev.EventCatalogue(*entries))


@settings(max_examples=60, deadline=None)
@given(CATALOGUES)
def test_no_two_ways_down_lie_on_one_another(catalogue):
    """Whatever the design: every node has a row, in a lane, and ways that share a row of a lane lie side by side."""
    graph = causality_graph(catalogue)
    order = rows(graph)
    assert sorted(order) == sorted(graph)
    assert set(lanes(graph, order)) == {graph.nodes[node]["lane"] for node in graph}
    ways = list(tracks(graph, order).values())
    for number, one in enumerate(ways):
        for other in ways[:number]:
            if (one.lane, one.number) == (other.lane, other.number):
                assert one.bottom < other.top or other.bottom < one.top


@settings(max_examples=60, deadline=None)
@given(CATALOGUES)
def test_causes_stand_above_their_effects(catalogue):
    graph = causality_graph(catalogue)
    row = {node: number for number, node in enumerate(rows(graph))}
    if nx.is_directed_acyclic_graph(graph):
        assert all(row[cause] < row[effect] for cause, effect in graph.edges)


@settings(max_examples=10, deadline=None)
@given(CATALOGUES, st.sampled_from(["light", "dark"]))
def test_every_design_can_be_drawn(catalogue, theme):
    figure = ev.causality(catalogue)
    assert len(figure.claim) <= CLAIM_MAX
    assert figure.png(theme) == ev.causality(catalogue).png(theme)


def words_of(sheet):
    axes = sheet.figure.axes[0]
    return {text.get_text() for text in axes.texts}


def test_every_name_is_written_whole():
    """In a small design in the boxes, in a crowded one at the left of the rows."""
    assert set(shop().names) <= words_of(ev.causality(shop()).sheet())
    contexts = ["ordering", "payment", "shipping", "inventory", "notification", "analytics", "accounting"]
    crowd = [
        ev.EventType(f"{context}.parcel.{verb}", context, "customer", {})
        for context in contexts
        for verb in ("weighed", "labelled", "handed_over", "delivered", "returned", "registered", "announced")
    ]
    crowded = ev.EventCatalogue(*crowd)
    assert set(crowded.names) <= words_of(ev.causality(crowded).sheet())


def test_a_good_design_says_so():
    figure = ev.causality(shop())
    assert figure.claim == "15 types in 3 contexts, and nothing was found: the score is 100"
    assert figure.facts["integration events"] == "4"


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_shows_in_the_claim(name):
    _, plant = PLANTED[name]
    figure = ev.causality(plant(shop()))
    assert "nothing was found" not in figure.claim
    assert figure.facts["score"] != "100, 0 findings"


def test_a_state_without_an_event_is_a_box_of_its_own():
    figure = ev.causality(shop().replace("order.cancelled", moves=""))
    assert figure.claim == "No event leads to order cancelled: it cannot be rebuilt"
    assert figure.facts["orphans are"] == "order cancelled"


def test_an_arrow_against_a_rule_is_named():
    leak = ev.causality(shop().replace("order.paid", caused_by="payment.taken"))
    assert leak.facts["against a rule"] == "payment.taken → order.paid"
    circle = ev.causality(shop().replace("take.payment", caused_by="order.placed, payment.declined"))
    assert circle.facts["against a rule"] == "payment.declined → take.payment"


def test_a_run_lies_on_its_design():
    figure = ev.causality(shop(), lived())
    assert figure.claim == "4 of 15 types were never seen"
    assert figure.facts["order.paid"] == "seen 9"
    assert figure.facts["never seen"] == "order.refused, payment.declined, payment.payment.declined, order.cancelled"
    surprise = emits(("payment.taken", PAID | {"amount": 3.0}), ("customer.greeted", {}))
    figure = ev.causality(shop(), lived(payment={"take.payment": surprise}))
    assert figure.claim == "Nobody designed take.payment → customer.greeted, and it was seen"
    assert figure.png()


def test_an_empty_catalogue_is_drawn_as_such():
    assert "nothing" in ev.causality(ev.EventCatalogue()).claim
