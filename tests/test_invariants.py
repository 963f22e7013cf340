"""What holds for a log and its groups whatever befalls them: Hypothesis invents the faults."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shops import run

from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer, Timed
from evsim.sim.faults import Crash, Delay, Drop, Duplicate, Join, Leave, Partition, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher

HEALED_S, UNTIL_S = 30.0, 80.0

members = st.sampled_from(["billing", "billing-1", "billing-2", "billing-3"])
moments = st.floats(0.5, 20.0).map(lambda at_s: round(at_s, 3))
lengths = st.floats(0.1, 9.0).map(lambda for_s: round(for_s, 3))
steps = st.sampled_from(["delivered", "handled", "saved", "sent", "acked"])
faults = st.one_of(
    st.builds(lambda part, at_s, down_s: Crash(part, at_s=at_s, down_s=down_s), members, moments, lengths),
    st.builds(
        lambda after, nth, down_s: Crash("billing", after=after, nth=nth, down_s=down_s),
        steps,
        st.integers(1, 200),
        lengths,
    ),
    st.builds(lambda part, at_s, for_s: Pause(part, at_s=at_s, for_s=for_s), members, moments, lengths),
    st.builds(lambda at_s, for_s: Pause("orders", at_s=at_s, for_s=for_s), moments, lengths),
    st.builds(lambda at_s, down_s: Crash("orders", at_s=at_s, down_s=down_s), moments, lengths),
    st.builds(lambda part, at_s, for_s: Partition("orders", part, at_s=at_s, for_s=for_s), members, moments, lengths),
    st.builds(
        lambda share, at_s, for_s: Drop("orders", "billing", share, at_s, for_s), st.floats(0, 0.5), moments, lengths
    ),
    st.builds(
        lambda share, at_s, for_s: Duplicate("shop", "orders", share, at_s, for_s), st.floats(0, 0.5), moments, lengths
    ),
    st.builds(
        lambda extra, at_s, for_s: Delay("shop", "orders", extra, 0.3, at_s, for_s), st.floats(0, 2), moments, lengths
    ),
    st.builds(lambda at_s: Join("billing", at_s=at_s), moments),
    st.builds(lambda at_s: Leave("billing-3", at_s=at_s), moments),
)
commits = st.sampled_from(["after", "batch", "before", Timed(0.7)])


kinds = st.sampled_from(
    [{}, {"protocol": "cooperative"}, {"static": False}, {"protocol": "cooperative", "static": False}]
)


def shop(plan, commit, prefetch, seed, kind=None):
    return run(
        Publisher("shop", to="orders", rate=30, count=900),
        Link("shop", "orders", delay_s=Exponential(0.01)),
        Link("orders", "billing", delay_s=Exponential(0.002)),
        Log("orders", partitions=4),
        Consumer(
            "billing",
            of="orders",
            members=3,
            service_s=Exponential(0.02),
            commit=commit,
            prefetch=prefetch,
            session_timeout_s=3,
            rebalance_s=0.2,
            **(kind or {}),
        ),
        *plan,
        until_s=UNTIL_S,
        seed=seed,
    )


@settings(max_examples=60, deadline=None)
@example([Join("billing", 1.0), Crash("billing", at_s=1.0, down_s=1.0)], Timed(0.7), 1, 0, {})
@example(
    [Crash("billing", at_s=2.0), Crash("billing-2", at_s=1.0, down_s=1.0), Pause("billing", 7.0, 1.0)],
    "after",
    1,
    0,
    {"protocol": "cooperative"},
)
@given(st.lists(faults, max_size=5), commits, st.integers(1, 9), st.integers(0, 1000), kinds)
def test_a_group_keeps_its_invariants_under_any_faults(plan, commit, prefetch, seed, kind):
    history = shop(plan, commit, prefetch, seed, kind)
    assert np.all(np.diff(history.time) >= 0)
    owners = Counter((r.place, r.number) for r in history.of("assigned"))
    assert max(owners.values()) == 1, "a partition has at most one owner in a generation"
    stored: dict[str, int] = {}
    for record in history.of("stored"):
        assert record.number == stored.get(record.place, -1) + 1, "offsets count up without a gap"
        stored[record.place] = record.number
    acked: dict[str, int] = {}
    for record in history.of("acked"):
        assert record.number > acked.get(record.place, -1), "a committed offset never goes back"
        acked[record.place] = record.number
    delivered = {(r.place, r.number) for r in history.of("delivered")}
    if commit != "before":
        assert delivered >= {(r.place, r.number) for r in history.of("stored")}, "what is stored is delivered"
        assert acked == stored, "and in the end acknowledged"
    else:
        handled = Counter((r.place, r.number) for r in history.of("handled"))
        assert not handled or max(handled.values()) == 1, "committed before: handled at most once"


@settings(max_examples=15, deadline=None)
@given(st.lists(faults, max_size=4), st.integers(0, 1000))
def test_the_same_faults_and_seed_give_the_same_history(plan, seed):
    assert shop(plan, "after", 2, seed).digest() == shop(plan, "after", 2, seed).digest()
