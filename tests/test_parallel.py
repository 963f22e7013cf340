"""Several events at once in one member: the order of each key is kept, and nothing is lost, whatever befalls it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import ids, offsets, run
from test_invariants import faults

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential, Zipf
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer, Timed
from evsim.sim.faults import Crash, Pause
from evsim.sim.gray import Poison
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.view.checks import in_order_by_key, nothing_lost
from evsim.view.measures import latencies, utilisation
from evsim.view.prediction import predict
from evsim.view.promises import no_poll_skip
from evsim.view.theory import MMc


def _shop(*more, key="own", **settings):
    settings = {"service_s": Constant(1.0), "parallel": 4, "prefetch": 100} | settings
    return (
        Publisher("shop", to="orders", gap_s=Constant(0.1), count=40, key=key),
        Log("orders"),
        Consumer("billing", of="orders", **settings),
        *more,
    )


def test_four_hands_do_in_a_quarter_of_the_time():
    one, four = run(*_shop(parallel=1)), run(*_shop())
    assert one.of("handled").time[-1] == pytest.approx(40.1)
    assert four.of("handled").time[-1] == pytest.approx(10.4, abs=0.3)
    assert offsets(four, "acked") == [*range(40)]


def test_events_of_one_key_come_one_after_another():
    history = run(*_shop(key="one"))
    assert history.of("handled").time[-1] == pytest.approx(40.1)
    assert ids(history, "handled") == [f"shop.{n}" for n in range(1, 41)]


def test_the_committed_offset_stays_before_the_first_that_is_not_finished():
    durations = iter([5.0, 1.0, 1.0])
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(0.1), count=3),
        Log("orders"),
        Consumer("billing", of="orders", on={"order.placed": _sleeping(durations)}, parallel=4, prefetch=10),
    )
    assert offsets(history, "handled") == [1, 2, 0]
    assert history.of("acked").time.tolist() == pytest.approx([5.1] * 3)


def _sleeping(durations):
    async def handler(event, ctx):
        await ctx.sleep(next(durations))

    return handler


def test_what_was_finished_beyond_the_offset_comes_again_after_a_crash():
    durations = iter([5.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(0.1), count=3),
        Log("orders"),
        Consumer("billing", of="orders", on={"order.placed": _sleeping(durations)}, parallel=4, prefetch=10),
        Crash("billing", at_s=3, down_s=1),
    )
    assert Counter(ids(history, "handled")) == {"shop.1": 1, "shop.2": 2, "shop.3": 2}
    assert nothing_lost().judge(history).state == "ok"


def test_a_poison_holds_up_its_own_key_and_no_other():
    parts = _shop(Poison("billing", nth=5), retry=Retry(1000, Backoff(1, 1, 1, "none")), key=Zipf(10, 0))
    history = run(*parts, until_s=100)
    poisoned = history.key_of(history.index(ids(history, "failed")[0]))
    stuck = {id_ for id_ in ids(history, "stored") if id_ not in ids(history, "handled")}
    assert stuck
    assert {history.key_of(history.index(id_)) for id_ in stuck} == {poisoned}
    first = min(record.number for record in history.of("failed"))
    assert offsets(history, "acked") == [*range(first)], "and the committed offset"


def test_a_pause_stops_every_hand_and_costs_just_as_long():
    calm, paused = run(*_shop()), run(*_shop(Pause("billing", at_s=2.0, for_s=5)))
    assert len(offsets(paused, "handled")) == 40
    assert paused.of("handled").time[-1] == pytest.approx(calm.of("handled").time[-1] + 5)


def test_order_is_kept_at_four_fifths_of_free_throughput():
    def makespan(key, seed):
        history = run(
            Publisher("shop", to="orders", gap_s=Constant(0.001), count=2000, key=key),
            Log("orders"),
            Consumer("billing", of="orders", parallel=8, prefetch=500, service_s=Exponential(0.1)),
            until_s=300,
            seed=seed,
        )
        assert len(offsets(history, "acked")) == 2000
        return history, float(history.of("handled").time[-1])

    for seed in range(3):
        _, free = makespan(None, seed)
        history, kept = makespan(Zipf(1000, 0), seed)
        assert in_order_by_key().judge(history).state == "ok"
        assert free / kept >= 0.8
        assert free == pytest.approx(2000 * 0.1 / 8, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(faults, max_size=5),
    st.sampled_from(["after", "batch", Timed(0.7)]),
    st.integers(1, 40),
    st.integers(2, 8),
    st.integers(0, 1000),
    st.sampled_from([(), (Link("orders", "billing", delay_s=Exponential(0.002)),)]),
)
def test_order_and_delivery_hold_under_any_faults(plan, commit, prefetch, parallel, seed, links):
    history = run(
        Publisher("shop", to="orders", rate=30, count=900, key=Zipf(30, 0.5)),
        Log("orders", partitions=4),
        *links,
        Consumer(
            "billing",
            of="orders",
            members=3,
            parallel=parallel,
            service_s=Exponential(0.05),
            commit=commit,
            prefetch=prefetch,
            session_timeout_s=3,
            rebalance_s=0.2,
        ),
        *plan,
        until_s=120,
        seed=seed,
    )
    stored: dict[str, int] = {}
    for record in history.of("stored"):
        stored[record.place] = record.number
    acked: dict[str, int] = {}
    for record in history.of("acked"):
        assert record.number > acked.get(record.place, -1), "a committed offset never goes back"
        acked[record.place] = record.number
    handled = {(r.place, r.number) for r in history.of("handled")}
    assert handled >= {(r.place, r.number) for r in history.of("stored")}, "what is stored is handled"
    assert acked == stored, "and in the end acknowledged"
    _handled_in_the_order_of_offsets(history)


def _handled_in_the_order_of_offsets(history):
    """First handlings of a key come in the order of the log, as far as it is in one partition."""
    table = history.of("handled")
    first: dict[tuple[str, int], int] = {}
    for row, record in enumerate(table):
        first.setdefault((record.place, record.number), row)
    keys = {(r.place, r.number): history.key_of(history.index(r.event_id)) for r in table}
    last: dict[tuple[str, str], int] = {}
    for spot in sorted(first):
        line = (spot[0], keys[spot])
        assert first[spot] > last.get(line, -1)
        last[line] = first[spot]


@pytest.mark.parametrize(
    ("log", "publisher", "consumer"),
    [
        ({}, {}, {}),
        ({"compaction": True}, {}, {}),
        ({}, {"acks": "all", "transaction_events": 10, "abort_share": 0.3}, {"isolation": "read_committed"}),
        ({"replicas": 3}, {"acks": "all"}, {}),
    ],
    ids=["plain", "compacted", "transactions", "replicated"],
)
def test_every_kind_of_log_is_read_to_its_end(log, publisher, consumer):
    for seed in range(4):
        history = run(
            Publisher("shop", to="orders", rate=40, count=400, key=Zipf(20, 0.5), **publisher),
            Log("orders", partitions=3, **log),
            Consumer(
                "billing",
                of="orders",
                members=2,
                parallel=4,
                prefetch=20,
                service_s=Exponential(0.1),
                session_timeout_s=3,
                **consumer,
            ),
            Crash("billing", at_s=5, down_s=5),
            until_s=60,
            seed=seed,
        )
        assert nothing_lost().judge(history).state == "ok"
        assert in_order_by_key().judge(history).state == "ok"
        ends = {record.place: record.number for record in history.of("stored")}
        assert {record.place: record.number for record in history.of("acked")} == ends


def test_the_same_run_twice():
    parts = _shop(Crash("billing", at_s=3, down_s=1), key=Zipf(5, 0))
    assert run(*parts).digest() == run(*parts).digest()


@pytest.mark.parametrize(
    ("broker", "settings", "told"),
    [
        (Queue("orders"), {}, "use members"),
        (Log("orders"), {"commit": "before"}, "leave out commit"),
        (Log("orders"), {"protocol": "cooperative"}, "eager protocol"),
    ],
)
def test_what_cannot_go_together_is_refused(broker, settings, told):
    consumer = Consumer("billing", of="orders", parallel=4, **settings)
    with pytest.raises(BadScenario, match=told):
        Scenario(Publisher("shop", to="orders", rate=1), broker, consumer).check()


def test_what_is_in_hand_is_not_lost_and_no_offset_is_skipped():
    for until_s in (2.05, 3.55, 6.05):
        history = run(*_shop(key=Zipf(3, 1.5)), until_s=until_s)
        assert nothing_lost().judge(history).state == "ok"
        assert no_poll_skip().judge(history).state != "VIOLATED"


def test_utilisation_counts_the_hands():
    history = run(*_shop(), until_s=10.0)
    assert utilisation(history, "billing") == pytest.approx(9.85 * 4 / 4 / 10, abs=0.02)


def test_several_hands_of_one_member_are_erlangs_servers():
    shop = Scenario(
        Publisher("shop", to="orders", rate=36),
        Log("orders"),
        Consumer("billing", of="orders", parallel=4, prefetch=500, service_s=Exponential(0.1)),
    )
    assert "capacity 40/s" in str(shop.explain())
    runs = [shop.run(400, seed=seed, progress=False) for seed in range(5)]
    law = predict(runs[0].history).law
    assert isinstance(law, MMc)
    mean = sum(latencies(each.history, from_s=50).mean() for each in runs) / 5
    assert mean == pytest.approx(law.mean_sojourn_s, rel=0.15)
