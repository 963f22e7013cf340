"""Inboxes: what counts as the same, for how long, how exactly, and when it is written; alone and in the simulator."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evsim as ev
from evsim import BadScenario, Event
from evsim.lab.crash_table import crash_table
from evsim.patterns.bloom import Bloom, bits_for, error_of
from evsim.patterns.inbox import Inbox, Memory


def placed(n, key="order-1", **data):
    return Event(f"shop.{n}", "order.placed", float(n), "shop", data, key=key)


# ---------------------------------------------------------------- what is the same


@pytest.mark.parametrize(
    ("key", "same"),
    [
        ("id", [(placed(1, amount=5), placed(1, amount=6))]),
        ("business", [(placed(1, amount=5), placed(2, amount=6))]),
        ("content", [(placed(1, amount=5, to="x"), placed(2, to="x", amount=5))]),
    ],
)
def test_what_two_messages_must_have_in_common(key, same):
    inbox = Inbox(key=key)
    for one, other in same:
        assert inbox.key_of(one) == inbox.key_of(other)
    different = placed(3, key="order-3", amount=7)
    assert inbox.key_of(different) not in {inbox.key_of(each) for pair in same for each in pair}


def test_messages_without_a_key_are_not_all_the_same():
    assert len({Inbox(key="business").key_of(placed(n, key=None)) for n in (1, 2)}) == 2


# ---------------------------------------------------------------- for how long


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 10)), max_size=40), st.sampled_from([3.0, 20.0, 1e9]))
def test_a_key_is_known_for_its_time_and_no_longer(coming, ttl_s):
    now, since = [0.0], {}
    memory = Memory(Inbox(ttl_s=ttl_s), lambda: now[0])
    for key, gap_s in coming:
        now[0] += gap_s
        assert (key in memory) == (key in since and now[0] - since[key] < ttl_s)
        if key not in memory:
            memory.add(key)
            since[key] = now[0]
    assert len(memory) <= len(since)


def test_of_too_many_keys_the_oldest_is_forgotten():
    memory = Memory(Inbox(capacity=2), lambda: 0.0)
    for key in "abc":
        memory.add(key)
    assert ["a" in memory, "b" in memory, "c" in memory] == [False, True, True]


@pytest.mark.parametrize(("window_s", "mean_s"), [(300, 60), (300, 120), (300, 300), (10, 20)])
def test_how_many_duplicates_come_after_the_window(window_s, mean_s):
    """e^(−W/m): with a window of 300 s, .0067 at a mean of 60 s, .082 at 120 s, .368 at 300 s."""
    chance, missed, many = random.Random(1), 0, 60_000
    now = [0.0]
    inbox = Inbox(ttl_s=window_s)
    for n in range(many):
        memory = Memory(inbox, lambda: now[0])
        memory.add(str(n))
        now[0] += chance.expovariate(1 / mean_s)
        missed += str(n) not in memory
    assert missed / many == pytest.approx(inbox.missed(mean_s), rel=0.03, abs=0.001)
    assert inbox.missed(mean_s) == math.exp(-window_s / mean_s)


# ---------------------------------------------------------------- how exactly


def test_a_bloom_filter_forgets_nothing_and_errs_as_often_as_it_was_made_to():
    """14.38 bits a key at p = 10⁻³, ten hashes; (1 − e^(−kn/m))^k of new keys are taken for known ones."""
    assert bits_for(1000, 1e-3) / 1000 == pytest.approx(14.38, abs=0.01)
    for keys, error in ((2000, 1e-2), (2000, 0.05), (5000, 1e-3)):
        bloom = Bloom(keys, error)
        for n in range(keys):
            bloom.add(f"known {n}")
        assert all(f"known {n}" in bloom for n in range(keys))
        wrong = sum(f"new {n}" in bloom for n in range(100_000)) / 100_000
        assert wrong == pytest.approx(error_of(keys, bloom.bits, bloom.hashes), rel=0.12)
        assert bloom.error == pytest.approx(error, rel=0.05)
    assert Bloom(1000, 1e-3).hashes == 10


@pytest.mark.slow
@pytest.mark.parametrize(("error", "probes", "filters"), [(0.05, 30_000, 10), (0.01, 30_000, 40)])
def test_the_error_of_many_filters_is_within_three_per_cent_of_the_formula(error, probes, filters):
    """C10: (1 − e^(−kn/m))^k, over filters with other keys, since each filter has luck of its own."""
    keys, wrong = 3000, 0
    for each in range(filters):
        bloom = Bloom(keys, error)
        for n in range(keys):
            bloom.add(f"known {each}/{n}")
        wrong += sum(f"new {each}/{n}" in bloom for n in range(probes))
    assert wrong / (probes * filters) == pytest.approx(error_of(keys, bloom.bits, bloom.hashes), rel=0.03)


def test_settings_that_make_no_sense_are_refused():
    for wrong in (lambda: Bloom(0), lambda: Bloom(10, 1.5), lambda: Inbox(ttl_s=0), lambda: Inbox(key="name"),
                  lambda: Inbox(bloom_error=2)):  # fmt: skip
        with pytest.raises(BadScenario):
            wrong()


# ---------------------------------------------------------------- in the simulator


def charge(event, ctx):
    ctx.effect("card charged")
    ctx.state[event.key] = ctx.state.get(event.key, 0) + 1
    ctx.emit("order.paid")


def shop(*more, broker=None, **settings):
    return ev.Scenario(
        ev.Publisher("shop", to="orders", rate=4, count=60),
        broker or ev.Log("orders"),
        ev.Consumer("payment", of="orders", on={"order.placed": charge}, to="paid", **settings),
        ev.Log("paid"),
        *more,
    )


DOUBLES = ev.Duplicate("shop", "orders", share=0.5)
ONCE = ev.exactly_once("card charged")


def test_an_inbox_as_a_value_is_the_inbox_that_was_there():
    crash = ev.Crash("payment", after="sent", nth=9, down_s=1)
    one, other = (shop(DOUBLES, crash, inbox=how).run(until_s=30, seed=3).history for how in (True, Inbox()))
    assert [(r.time, r.step, r.event_id) for r in one.of()] == [(r.time, r.step, r.event_id) for r in other.of()]


def test_when_it_is_written_decides_what_a_crash_costs():
    promises = (ev.at_most_once("card charged"), ev.at_least_once("card charged", of="order.placed"))
    remedies = {when: {"inbox": Inbox(written=when), "outbox": True} for when in ("with", "before", "after")}
    table = crash_table(shop(), "payment", promises, remedies=remedies, seeds=[1, 2])
    assert table.rows == {
        "with": ["··", "X·", "··", "··", "··"],
        "before": ["·X", "··", "··", "··", "··"],
        "after": ["··", "X·", "X·", "··", "··"],
    }


def test_two_duplicates_at_once_pass_a_check_and_not_a_unique_key():
    """Check, then act: both find nothing, both act. The unique key in the transaction lets one of them through."""
    at_once = {"broker": ev.Queue("orders"), "members": 4, "service_s": ev.Constant(0.2)}
    naive = shop(DOUBLES, inbox=Inbox(unique=False), **at_once).run(until_s=60, seed=3)
    right = shop(DOUBLES, inbox=Inbox(), **at_once).run(until_s=60, seed=3)
    assert naive.check(ONCE)[0].state == "VIOLATED"
    assert right.check(ONCE)[0].state == "ok"
    paid = [record.event_id for record in right.history.of("stored", node="paid")]
    assert len(paid) == 60


def test_a_search_finds_the_race_and_nothing_in_the_cure():
    at_once = {"broker": ev.Queue("orders"), "members": 2, "service_s": ev.Constant(0.2)}
    rare = ev.Duplicate("shop", "orders", share=0.02)
    naive = shop(rare, inbox=Inbox(unique=False), **at_once)
    found = naive.search(ev.at_most_once("card charged"), budget=300, until_s=40, progress=False)
    assert found.verdict.state == "VIOLATED"
    waits = shop(rare, inbox=Inbox(), **at_once)
    assert len(waits.run(until_s=40, seed=1).history.of("skipped")) > 0
    for seed in range(1, 21):
        assert waits.run(until_s=40, seed=seed).check(ONCE)[0].state == "ok"


def test_a_false_positive_throws_a_real_order_away():
    small = Inbox(bloom_error=0.2, bloom_keys=40)
    run = shop(inbox=small).run(until_s=60, seed=3)
    verdict = run.check(ev.at_least_once("card charged", of="order.placed"))[0]
    assert verdict.state == "VIOLATED"
    assert shop(inbox=Inbox(bloom_error=1e-6)).run(until_s=60, seed=3).check(ONCE)[0].state == "ok"


def test_a_scenario_with_an_inbox_goes_into_a_file_and_back():
    before = ev.Scenario(
        ev.Publisher("shop", to="orders", rate=1), ev.Log("orders"),
        ev.Consumer("payment", of="orders", inbox=Inbox(key="business", ttl_s=300)),
    )  # fmt: skip
    assert ev.Scenario.from_yaml(before.to_yaml()) == before
