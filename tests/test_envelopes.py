"""Wrong clocks, wrong versions, full disks, and crashes that wait for whoever owns a partition."""

from __future__ import annotations

import pytest
from shops import ids, run

from evsim.errors import BadScenario, HandlerFailed
from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.broker.webhook import Webhook
from evsim.sim.consumer import Consumer
from evsim.sim.disks import DiskFull
from evsim.sim.envelopes import Skew, WrongVersion
from evsim.sim.faults import Crash
from evsim.sim.publisher import Publisher
from evsim.view.checks import judge, nothing_lost
from evsim.view.faults import faults_of


def shop(*more, broker=None, **settings):
    return (
        Publisher("shop", to="orders", gap_s=Constant(0.1), count=100),
        broker or Log("orders", partitions=2),
        Consumer("billing", of="orders", **settings),
        *more,
    )


def offsets(history, source="shop"):
    """How far the timestamp of each event lies from the moment in which it was published."""
    published = {r.event_id: r.time for r in history.of("published")}
    events = [history.event_at(n) for n in range(history.event_count)]
    return {e.id: e.timestamp - published[e.id] for e in events if e.source == source and e.id in published}


# ---------------------------------------------------------------- clocks


def test_a_clock_that_is_off_is_off_in_every_timestamp_while_it_lasts():
    off = offsets(run(*shop(Skew("shop", by_s=-3.0, at_s=2.05, for_s=3.0))))
    assert {round(each, 6) for each in list(off.values())[:20]} == {0.0}
    assert {round(each, 6) for each in list(off.values())[21:50]} == {-3.0}
    assert {round(each, 6) for each in list(off.values())[51:]} == {0.0}


def test_a_clock_that_drifts_gains_more_and_more():
    off = list(offsets(run(*shop(Skew("shop", drift=0.01)))).values())
    assert off[0] == pytest.approx(0.001, abs=1e-6)
    assert off[99] == pytest.approx(0.1, abs=1e-6)


def test_what_a_handler_sends_bears_the_time_of_its_own_clock():
    def bill(event, ctx):
        ctx.emit("order.billed")

    skewed = Skew("billing", by_s=60.0)
    parts = shop(skewed, Log("bills"), on={"order.placed": bill}, to="bills")
    off = offsets(run(*parts), "billing")
    assert len(off) == 100
    assert all(each == pytest.approx(60.0) for each in off.values())


def test_a_history_with_clocks_before_the_epoch_is_saved_and_read(tmp_path):
    history = run(*shop(Skew("shop", by_s=-30.0)))
    history.save(tmp_path / "skewed.evsim")
    assert History.load(tmp_path / "skewed.evsim").digest() == history.digest()


@pytest.mark.parametrize(("part", "by_s"), [("orders", -400.0), ("orders", 400.0), ("billing", 400.0)])
def test_a_webhook_is_not_believed_when_a_clock_is_off_by_more_than_the_tolerance(part, by_s):
    hook = Webhook("orders", schedule_s=(0, 1))
    wrong = run(*shop(Skew(part, by_s=by_s), broker=hook))
    assert ids(wrong, "handled") == []
    assert len(ids(wrong, "refused")) >= 100
    right = run(*shop(Skew(part, by_s=by_s / 2), broker=hook))
    assert len(ids(right, "handled")) == 100


# ---------------------------------------------------------------- versions


def test_who_knows_only_the_first_version_puts_the_second_aside():
    wrong = WrongVersion("shop", version=2, share=0.3)
    history = run(*shop(wrong, Log("aside"), versions=(1,), dead_letter="aside"))
    versions = [history.event_at(n).version for n in range(history.event_count)]
    assert 15 < versions.count(2) < 45
    assert len(ids(history, "dead_lettered")) == versions.count(2)
    assert len(ids(history, "handled")) == versions.count(1)


def test_who_knows_both_does_not_mind_and_who_knows_nothing_to_do_with_it_is_stopped():
    wrong = WrongVersion("shop", version=2)
    assert len(ids(run(*shop(wrong, versions=(1, 2))), "handled")) == 100
    assert len(ids(run(*shop(wrong)), "handled")) == 100
    with pytest.raises(HandlerFailed, match=r"version 2 of order\.placed; known: 1"):
        run(*shop(wrong, versions=(1,)))


# ---------------------------------------------------------------- disks


def test_a_queue_whose_disk_is_full_lets_publishers_wait_and_loses_nothing():
    history = run(*shop(DiskFull("orders", at_s=2.05, for_s=3), broker=Queue("orders")))
    stored = [r.time for r in history.of("stored")]
    assert not [each for each in stored if 2.05 < each < 5.05]
    assert len(ids(history, "acked")) == 100
    assert judge(nothing_lost(), history).state == "ok"


def test_a_log_whose_disk_is_full_is_offline():
    history = run(*shop(DiskFull("orders", at_s=2.05, for_s=3)))
    assert len(ids(history, "dropped")) == 30
    full = [fault for fault in faults_of(history, 60.0) if "full" in fault.name]
    assert [(fault.start_s, fault.end_s) for fault in full] == [(2.05, 5.05)]


def test_where_there_are_replicas_another_machine_leads_meanwhile():
    log = Log("orders", replicas=3, failover_s=1)
    parts = shop(DiskFull("orders-1", at_s=2.05, for_s=30), broker=log)
    waiting = [parts[0].but(acks="all"), *parts[1:]]
    history = run(*waiting)
    assert len(set(ids(history, "acked"))) == 100
    assert len(history.of("elected"))


# ---------------------------------------------------------------- whoever owns a partition


def test_whoever_owns_the_partition_crashes_after_its_third_poll():
    crash = Crash("billing", after="polled", nth=3, owns=0, down_s=None)
    history = run(*shop(crash, members=2, session_timeout_s=3))
    dead = [r.node for r in history.of("crashed")]
    owner = next(r.node for r in history.of("assigned") if r.place == "orders/0")
    assert dead == [owner]
    handled = [r for r in history.of("handled") if r.place == "orders/0" and r.node == owner]
    assert len(handled) == 2
    assert len(set(ids(history, "handled"))) == 100


def test_the_polls_of_others_do_not_count():
    crash = Crash("billing", after="delivered", nth=4, owns=1, down_s=1)
    history = run(*shop(crash, members=2, session_timeout_s=3))
    when = history.of("crashed").time[0]
    before = [r for r in history.of("delivered") if r.time <= when and r.place == "orders/1"]
    assert len(before) == 4


@pytest.mark.parametrize(
    ("broker", "crash", "problem"),
    [
        (Log("orders"), Crash("billing", after="polled", owns=3), "has the partitions 0 to 0, not 3"),
        (Queue("orders"), Crash("billing", after="polled"), "takes from a queue"),
        (Log("orders"), Crash("billing", at_s=3, owns=0), "counts how often a step is passed"),
        (Log("orders"), Skew("orders"), "a publisher or consumer or webhook"),
        (Log("orders"), DiskFull("billing", at_s=1), "a log or queue"),
    ],
)
def test_what_cannot_be_is_said_before_the_run(broker, crash, problem):
    with pytest.raises(BadScenario, match=problem):
        Scenario(*shop(crash, broker=broker)).run(10, seed=1)


def test_these_faults_are_written_to_a_file_and_read_again():
    faults = (
        Skew("shop", by_s=1), WrongVersion("shop", version=3), DiskFull("orders", at_s=5, for_s=1),
        Crash("billing", after="polled", owns=0),
    )  # fmt: skip
    scenario = Scenario(*shop(*faults, versions=(1, 3)))
    assert Scenario.from_yaml(scenario.to_yaml()) == scenario
