"""Compaction and retention by size: what a log forgets, and what a reader still gets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import run

from evsim.errors import BadScenario
from evsim.event import Event
from evsim.laws import Constant, Exponential, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer, Timed
from evsim.sim.faults import Crash, Join, Leave, Pause
from evsim.sim.publisher import Publisher
from evsim.view.checks import in_order_by_key, judge, nothing_lost

CLEAN = Log("users", partitions=2, compaction=True, clean_every_s=1)


def users(count=200, gap_s=0.02, **more):
    return Publisher("app", to="users", gap_s=Constant(gap_s), key=Zipf(10, 1.0), count=count, **more)


def late(name="late", **more):
    """A reader that is paused from the start, and begins with the first offset."""
    return Consumer(name, of="users", auto_offset_reset="earliest", **more)


def newest(history, steps=("stored",)):
    """The last event of each key among these rows."""
    rows = [record for record in history.of() if record.step in steps]
    return {history.key_of(history.index(record.event_id)): record.event_id for record in rows}


def test_a_late_reader_gets_the_last_event_of_each_key_and_little_else():
    history = run(users(), CLEAN, late(), Pause("late", at_s=0.0, for_s=10), until_s=60)
    handled = history.of("handled")
    assert newest(history) == newest(history, ("handled",))
    assert 10 <= len(handled) < 40
    assert judge(nothing_lost(), history).state == "ok"


def test_offsets_never_change_and_order_is_kept():
    history = run(users(), CLEAN, late(), Pause("late", at_s=0.0, for_s=10), until_s=60)
    stored = {(r.place, r.number): r.event_id for r in history.of("stored")}
    for record in history.of("handled"):
        assert stored[record.place, record.number] == record.event_id
    for place in ("users/0", "users/1"):
        numbers = [r.number for r in history.of("handled") if r.place == place]
        assert numbers == sorted(numbers)


def test_who_keeps_up_sees_every_event():
    history = run(users(), CLEAN, late(service_s=Constant(0.001)), until_s=60)
    assert len(history.of("handled")) == 200
    assert len(history.of("compacted")) == 0


def deleting(world):
    """A customer that comes, changes, and is deleted at 1 s; then others come, so that there is a later event."""
    log = world.find("users")
    history = world.history

    def store(number, kind, key):
        event = Event(f"app.{number}", kind, world.now, "app", {}, key=key)
        index = history.add(event)
        log.chooser("app")(*history.key_parts(index))(index)

    for number, (kind, key) in enumerate(
        [("user.added", "ann"), ("user.changed", "ann"), ("user.deleted", "ann"), ("user.added", "bob")]
    ):
        yield world.timeout(0.25)
        store(number, kind, key)


@pytest.mark.parametrize(
    ("wakes_s", "got"), [(5, ["user.deleted", "user.added"]), (60, ["user.added"])], ids=["in time", "too late"]
)
def test_a_tombstone_is_seen_by_those_who_read_before_its_time_is_over(wakes_s, got):
    log = Log("users", compaction=True, clean_every_s=1, delete_retention_s=20, tombstones=("user.deleted",))
    history = run(deleting, log, late(), Pause("late", at_s=0.0, for_s=wakes_s), until_s=100)
    assert [history.type_of(history.index(r.event_id)) for r in history.of("handled")] == got


def test_what_is_younger_than_the_lag_is_left_alone():
    log = Log("users", partitions=2, compaction=True, clean_every_s=1, min_compaction_lag_s=100)
    history = run(users(), log, late(), Pause("late", at_s=0.0, for_s=10), until_s=60)
    assert len(history.of("handled")) == 200


def test_a_log_that_is_compacted_takes_no_event_without_a_key():
    history = run(Publisher("app", to="users", rate=10, key=None, count=20), CLEAN, late(), until_s=20)
    assert len(history.of("stored")) == 0
    assert len(history.of("dropped")) == 20


@pytest.mark.parametrize(("size", "kept"), [(5000, 5), (1000, 1), (999, 1), (20_000, 20)])
def test_retention_by_bytes_keeps_what_fits(size, kept):
    log = Log("users", retention_bytes=size, event_bytes=1000)
    history = run(users(count=50), log, late(), Pause("late", at_s=0.0, for_s=10), until_s=60)
    assert [record.number for record in history.of("handled")] == list(range(50 - kept, 50))


faults = st.one_of(
    st.builds(lambda at_s, down_s: Crash("late", at_s=at_s, down_s=down_s), st.floats(0.1, 4), st.floats(0.1, 4)),
    st.builds(lambda at_s, for_s: Pause("late-1", at_s=at_s, for_s=for_s), st.floats(0.1, 4), st.floats(0.1, 8)),
    st.builds(lambda at_s: Join("late", at_s=at_s), st.floats(0.1, 4)),
    st.builds(lambda at_s: Leave("late-2", at_s=at_s), st.floats(0.1, 4)),
    st.builds(lambda at_s, down_s: Crash("users", at_s=at_s, down_s=down_s), st.floats(0.1, 4), st.floats(0.1, 4)),
)
kinds = st.sampled_from([{}, {"protocol": "cooperative"}, {"isolation": "read_committed"}, {"static": False}])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(faults, max_size=4),
    st.sampled_from(["after", "batch", "before", Timed(0.3)]),
    st.integers(1, 8),
    st.sampled_from([1, 3]),
    kinds,
    st.integers(0, 99),
)
def test_whatever_happens_the_last_event_of_each_key_is_read(plan, commit, prefetch, replicas, kind, seed):
    log = Log("users", partitions=2, compaction=True, clean_every_s=0.3, replicas=replicas)
    group = late(members=2, commit=commit, prefetch=prefetch, service_s=Exponential(0.03), session_timeout_s=3, **kind)
    history = run(users(), log, group, *plan, until_s=90, seed=seed)
    met = {(r.place, r.number): r.step for r in history.of() if r.step in {"handled", "compacted"}}
    stored = {(r.place, r.number) for r in history.of("stored")}
    last = newest(history)
    assert set(met) <= stored
    if commit != "before":
        assert set(met) == stored
        assert set(last.values()) <= {r.event_id for r in history.of("handled")}
        assert len(history.of("dropped")) or judge(nothing_lost(), history).state == "ok"
    acked = [(r.place, r.number) for r in history.of("acked")]
    assert len(acked) == len(set(acked))
    if not plan:
        assert judge(in_order_by_key(), history).state == "ok"


def test_a_nonsense_of_sizes_is_refused():
    with pytest.raises(BadScenario, match="retention_bytes"):
        Log("users", retention_bytes=0)
