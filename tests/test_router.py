"""Routers send each event where its content belongs; wiretaps copy all and disturb nobody."""

import pytest

import evsim as ev
from evsim import (
    BadScenario,
    Choice,
    Consumer,
    Crash,
    Exchange,
    Exponential,
    Log,
    Message,
    Publisher,
    PubSub,
    Queue,
    Router,
    Scenario,
    Wiretap,
)


def steps(run, step, place=None):
    rows = (run.history.record_at(row) for row in range(len(run.history)))
    return [row for row in rows if row.step == step and place in {None, row.place}]


def shop(*more, data=None, count=200, **settings):
    return Scenario(
        Publisher("shop", to="orders", rate=50, count=count, data=data or {"vip": Choice([True, False])}),
        Log("orders", partitions=2),
        Router("sorter", of="orders", **settings),
        Log("express"),
        Log("bulk"),
        *more,
    )


def test_an_event_goes_where_its_data_belong_and_stays_the_same_event():
    run = shop(
        Consumer("fast", of="express"), Consumer("slow", of="bulk"), routes={"express": {"vip": True}}, default="bulk"
    ).run(30, seed=1)
    history = run.history
    express, bulk = ({row.event_id for row in steps(run, "handled", place)} for place in ("express/0", "bulk/0"))
    assert express | bulk == {f"shop.{n}" for n in range(1, 201)}
    assert not express & bulk
    assert history.event_count == 200
    vips = {event.id for event in map(history.event_at, range(200)) if event.data["vip"]}
    assert express == vips
    assert {row.node for row in steps(run, "published", "express")} == {"sorter"}


def test_what_fits_nowhere_is_unroutable_and_counted():
    run = shop(routes={"express": {"vip": True}}).run(30, seed=1)
    gone = steps(run, "unroutable")
    assert len(gone) + len(steps(run, "published", "express")) == 200
    assert {(row.node, row.place) for row in gone} == {("sorter", "")}


def test_the_first_route_wins_or_all_do():
    both = {"express": {"vip": None}, "bulk": "order.#"}
    first = shop(routes=both).run(30, seed=1)
    everywhere = shop(routes=both, match="all").run(30, seed=1)
    assert (len(steps(first, "published", "express")), len(steps(first, "published", "bulk"))) == (200, 0)
    assert (len(steps(everywhere, "published", "express")), len(steps(everywhere, "published", "bulk"))) == (200, 200)


EVENT = ev.Event(
    "shop.1",
    "order.placed",
    0,
    "shop",
    {"amount": 120, "vip": True, "to": {"country": "DE"}, "lines": (1,), "to.city": "Bonn"},
)


@pytest.mark.parametrize(
    ("route", "fits"),
    [
        ("order.*", True),
        ("stock.#", False),
        (("stock.#", "*.placed"), True),
        ({"amount": 120}, True),
        ({"amount": 120.0}, True),
        ({"vip": 1}, False),
        ({"amount": {"ge": 120, "lt": 121}}, True),
        ({"amount": {"gt": 120}}, False),
        ({"vip": {"ne": False}}, True),
        ({"to": {"ge": 1}}, False),
        ({"to.country": ("DE", "FR")}, True),
        ({"to.city": "Bonn"}, True),
        ({"to.street": None}, False),
        ({"lines": None}, True),
        ({"amount.deep": 1}, False),
        ({"amount": 1, "vip": True}, False),
        ({"x-match": "any", "amount": 1, "vip": True}, True),
        ({"x-match": "any", "amount": 1}, False),
        ({}, True),
        ({"header.source": "shop", "header.type": "order.placed"}, True),
        ({"header.region": "eu"}, True),
        ({"header.nothing": None}, False),
    ],
)
def test_what_a_route_may_ask(route, fits):
    router = Router("sorter", of="orders", routes={"there": route})
    assert router.forward(EVENT, {"region": "eu"}) == (["there"] if fits else [])


def test_what_the_router_had_not_acknowledged_is_routed_again_after_a_crash():
    run = shop(
        Crash("sorter", at_s=2, down_s=0.5), routes={}, default="bulk", service_s=Exponential(0.005), prefetch=10
    ).run(60, seed=3)
    stored = steps(run, "stored", "bulk/0")
    assert len({row.event_id for row in stored}) == 200


def test_two_routers_in_a_row():
    run = shop(
        Router("second", of="express", routes={"bulk": "order.*"}), routes={"express": {"vip": True}}, default="bulk"
    ).run(30, seed=1)
    assert len(steps(run, "stored", "bulk/0")) == 200


def test_a_wiretap_copies_all_and_changes_nothing_for_the_others():
    plain = Scenario(
        Publisher("shop", to="orders", rate=50, count=100),
        Log("orders"),
        Consumer("billing", of="orders", service_s=Exponential(0.01)),
        Log("audit"),
    )
    before, tapped = plain.run(20, seed=1), plain.plus(Wiretap("tap", of="orders", to="audit")).run(20, seed=1)

    def of_billing(run):
        return [(row.time, row.step, row.event_id) for row in steps(run, "handled") if row.node == "billing"]

    assert of_billing(before) == of_billing(tapped)
    assert len(steps(tapped, "stored", "audit/0")) == 100
    assert {row.node for row in steps(tapped, "published", "audit")} == {"tap"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"routes": {"expres": {"vip": True}}}, "did you mean 'express'"),
        ({"routes": {"orders": {"vip": True}}}, "round and round"),
        ({"routes": {}}, "give routes= or default="),
        ({"routes": {"express": "order.pl*"}}, "whole words"),
        ({"routes": {"express": {"x-match": "al"}}}, "did you mean 'all'"),
        ({"routes": {"express": {"amount": {"gte": 1}}}}, "no comparison"),
        ({"routes": {"express": 7}}, "routes"),
    ],
)
def test_a_router_that_cannot_work_is_refused_in_a_sentence(settings, said):
    with pytest.raises(BadScenario) as refused:
        shop(**settings).check()
    assert said in str(refused.value)


def test_a_command_behind_a_router_has_its_handler():
    def ask(*consumers):
        return Scenario(
            Publisher("shop", to="orders", rate=1, type="take.payment"),
            Log("orders"),
            Router("sorter", of="orders", routes={"express": "take.*"}),
            Log("express"),
            *consumers,
        ).problems()

    assert not ask(Consumer("payment", of="express"))
    assert "nobody handles it" in str(ask()[0])


def test_a_router_can_be_kept_in_a_file():
    shop_ = shop(Wiretap("tap", of="orders", to="bulk"), routes={"express": {"vip": True}, "bulk": ("order.#", "a.b")})
    assert Scenario.from_yaml(shop_.to_yaml()) == shop_
    assert Scenario.from_json(shop_.to_json()) == shop_
    assert "sorter" in str(shop_.explain())


def test_a_wiretap_listens_on_subjects_and_a_router_too():
    run = Scenario(
        Publisher("shop", to="news", rate=50, count=100),
        Publisher("till", to="news", rate=50, count=100, type="order.paid"),
        PubSub("news"),
        Wiretap("tap", of="news", to="audit", subjects=("order.paid",)),
        Router("sorter", of="news", routes={"bulk": "*.placed"}),
        Log("audit"),
        Log("bulk"),
        Consumer("all", of="news"),
    ).run(20, seed=1)
    assert {row.event_id.partition(".")[0] for row in steps(run, "stored", "audit/0")} == {"till"}
    assert len(steps(run, "stored", "bulk/0")) == len(steps(run, "stored", "audit/0")) == 100
    assert len(steps(run, "unroutable")) == 100
    assert len([row for row in steps(run, "handled") if row.node == "all"]) == 200


def test_a_wiretap_on_an_exchange_or_a_queue_takes_nothing_away():
    eu = Message(headers={"region": "eu"}, routing_key="de.order.placed")
    scenario = Scenario(
        Publisher("shop", to="world", rate=50, count=100, message=eu),
        Exchange("world", type="topic", bindings={"inner": "de.#"}),
        Exchange("inner", type="fanout", bindings={"germany": "", "france": ""}),
        Queue("germany"),
        Queue("france"),
        Router("sorter", of="germany", routes={"eu": {"header.region": "eu"}}, default="france"),
        Queue("eu"),
        Consumer("desk", of="eu"),
        Consumer("bureau", of="france"),
        Log("audit"),
        Log("inside"),
        Log("late"),
    )
    taps = Wiretap("tap", of="eu", to="audit"), Wiretap("inner-tap", of="inner", to="inside")
    run = scenario.plus(*taps, Wiretap("broken", of="world", to="late"), Crash("broken", at_s=1, down_s=0.5)).run(
        20, seed=1
    )
    for node in ("desk", "bureau"):
        assert len([row for row in steps(run, "handled") if row.node == node]) == 100
    assert len(steps(run, "stored", "audit/0")) == len(steps(run, "stored", "inside/0")) == 100
    missed = [row for row in steps(run, "missed") if row.node == "broken"]
    assert missed
    assert all(1 <= row.time <= 1.5 for row in missed)
    assert len(steps(run, "stored", "late/0")) + len(missed) == 100
