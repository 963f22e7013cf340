"""The event store as a part: time, conflicts between writers, and what a crash takes at each durability."""

from __future__ import annotations

from contextlib import suppress

import pytest
from accounts import ACCOUNT
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import assert_near
from shops import ids
from strategies import possible

from evsim.errors import BadEvent, BadScenario
from evsim.lab import catalog
from evsim.lab.accounts import never_overdrawn
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.patterns.handler import Unavailable
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.calling import Calling
from evsim.sim.consumer import Consumer
from evsim.sim.event_store import EventStore
from evsim.sim.faults import Crash, Drop, Partition, Pause
from evsim.sim.gray import Slow
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.world import World
from evsim.store import ANY, NONE, Conflict
from evsim.view.anomalies import no_lost_writes
from evsim.view.checks import every, nothing_lost
from evsim.view.conflicts import appends, attempts_at_once, conflict_share


def till(*parts, until_s=60.0, seed=7):
    """Run these parts and give their world."""
    world = World(seed=seed)
    world.build(parts)
    world.run(until=until_s)
    world.close()
    return world


async def pay(event, ctx):
    """Append one event to the stream of the account, whatever is there."""
    await ctx.append("store", "account-7", ("money.withdrawn", {"amount": 5}))


def bank(handler, *faults, until_s=60.0, seed=7, store=None, count=10, gap_s=1.0, members=1, **more):
    """Commands at a fixed pace, handled with an event store; its world."""
    return till(
        Publisher("bank", to="commands", gap_s=Constant(gap_s), count=count, type="withdraw.money"),
        Queue("commands"),
        Consumer("accounts", of="commands", on={"withdraw.money": handler}, members=members, prefetch=1, **more),
        store or EventStore("store"),
        *faults,
        until_s=until_s, seed=seed,
    )  # fmt: skip


def test_a_handler_reads_what_handlers_have_appended():
    seen = []

    async def count(event, ctx):
        found = await ctx.read("store", "account-7")
        seen.append(([each.event.data["n"] for each in found], found.version))
        await ctx.append("store", "account-7", ("money.withdrawn", {"n": len(found)}), expected=found.version)

    bank(count, count=3)
    assert seen == [([], NONE), ([0], 0), ([0, 1], 1)]


# ---------------------------------------------------------------- time


def test_reading_takes_its_time_and_more_for_each_event():
    times = []

    async def read(event, ctx):
        before = ctx.now
        found = await ctx.read("store", "account-7")
        times.append(round(ctx.now - before, 9))
        await ctx.append("store", "account-7", [("money.withdrawn", {"n": n}) for n in range(2)], found.version)

    bank(read, count=3, store=EventStore("store", read_s=0.25, read_event_s=0.125))
    assert times == [0.25, 0.5, 0.75]


def test_a_reader_gets_what_was_there_when_it_began():
    seen = []

    async def read(event, ctx):
        if event.id == "bank.1":
            seen.append((len(await ctx.read("store", "account-7")), ctx.now))
        else:
            await ctx.append("store", "account-7", ("money.withdrawn", {}))

    bank(read, count=2, members=2, store=EventStore("store", read_s=2.0))
    assert seen == [(0, 3.0)], "the other member appended at 2 s"


def test_appends_are_done_one_at_a_time():
    times = []

    async def together(event, ctx):
        await ctx.sleep(10 - ctx.now)
        await ctx.append("store", f"account-{event.id}", ("money.withdrawn", {}))
        times.append(ctx.now)

    bank(together, count=4, members=4, store=EventStore("store", append_s=0.5, durability="sync", sync_s=0.25))
    assert times == [10.75, 11.5, 12.25, 13.0]


def test_a_pause_makes_work_under_way_as_much_longer():
    times = []

    async def timed(event, ctx):
        await ctx.append("store", "account-7", ("money.withdrawn", {}))
        times.append(ctx.now)

    bank(timed, Pause("store", at_s=1.5, for_s=4), count=1, store=EventStore("store", append_s=1.0))
    assert times == [6.0]


def test_one_who_follows_all_streams_reads_by_position():
    found = []

    async def follow(event, ctx):
        await ctx.append("store", f"account-{event.id}", ("money.withdrawn", {}))
        position = ctx.state.get("position", 0)
        seen = await ctx.read("store", None, position + 1, limit=2)
        found.append([each.position for each in seen])
        ctx.state["position"] = seen[-1].position
        newest = await ctx.read("store", None, backwards=True, limit=1)
        assert newest[0].event.causation_id == event.id
        assert newest.version == newest[0].position

    bank(follow, count=3)
    assert found == [[1], [2], [3]]


def test_links_and_slow_disks_take_their_time_too():
    times = []

    async def timed(event, ctx):
        before = ctx.now
        await ctx.append("store", "account-7", ("money.withdrawn", {}))
        times.append(round(ctx.now - before, 6))

    slow = Slow("store", 10, at_s=1.5, for_s=1)
    bank(timed, Link("accounts", "store", delay_s=0.25), slow, count=3, store=EventStore("store", append_s=0.02))
    assert times == [0.52, 0.7, 0.52]


# ---------------------------------------------------------------- conflicts


def test_a_conflict_is_raised_in_the_handler_with_both_versions():
    met = []

    async def withdraw(event, ctx):
        found = await ctx.read("store", "account-7")
        await ctx.sleep(5)
        try:
            await ctx.append("store", "account-7", ("money.withdrawn", {}), expected=found.version)
        except Conflict as problem:
            met.append((problem.stream, problem.expected, problem.actual))

    world = bank(withdraw, count=3, members=3)
    assert met == [("account-7", NONE, 0)] * 2
    assert appends(world.history) == (3, 2)
    rows = [(r.node, r.place, r.event_id, r.number) for r in world.history.of("conflicted")]
    assert rows == [("store", "accounts-2", "bank.2", 0), ("store", "accounts-3", "bank.3", 0)]
    assert "met a conflict" in world.history.story("bank.2")


def probe(rate, between_s, tries, seed):
    """Others write at this rate; a probe reads, waits, and appends, again and again. The share of conflicts."""

    async def other(event, ctx):
        await ctx.append("store", "account-7", ("money.paid_in", {}))

    async def withdraw(event, ctx):
        for _ in range(100):
            seen = await ctx.read("store", "account-7", backwards=True, limit=1)
            await ctx.sleep(between_s - 0.01)
            with suppress(Conflict):
                await ctx.append("store", "account-7", ("money.withdrawn", {}), expected=seen.version)

    world = till(
        Publisher("others", to="payments", rate=rate, type="pay.in"),
        Log("payments"),
        Consumer("salaries", of="payments", on={"pay.in": other}),
        Publisher("bank", to="commands", gap_s=Constant(100 * between_s), count=tries // 100, type="withdraw.money"),
        Log("commands"),
        Consumer("accounts", of="commands", on={"withdraw.money": withdraw}),
        EventStore("store", read_s=0.01),
        until_s=(tries + 100) * between_s + 1, seed=seed,
    )  # fmt: skip
    found = appends(world.history, by="accounts")
    assert found.tried == tries
    return found.conflicts / found.tried


@pytest.mark.parametrize(
    ("rate", "between_s", "tries", "expected"),
    [(2, 0.1, 5000, 0.1813), (1, 0.5, 1600, 0.3935), (5, 0.2, 1200, 0.6321)],
)
def test_conflicts_are_as_frequent_as_the_formula_says(rate, between_s, tries, expected):
    """P(conflict) = 1 - exp(-λd), within 3 %; d is from the reading's beginning to the append."""
    assert conflict_share(rate, between_s) == pytest.approx(expected, abs=1e-4)
    assert_near((probe(rate, between_s, tries, seed) for seed in range(16)), expected)


def at_once(writers, store, **settings):
    """So many writers that begin together, each until it has appended once."""

    async def withdraw(event, ctx):
        if ctx.now < 100:
            await ctx.sleep(100 - ctx.now)
        seen = await ctx.read("store", "account-7")
        await ctx.append("store", "account-7", ("money.withdrawn", {}), expected=seen.version)

    world = bank(withdraw, count=writers, members=writers, until_s=300, store=store, **settings)
    assert len(ids(world.history, "stored", node="store")) == writers
    return appends(world.history)


@pytest.mark.parametrize("writers", [1, 2, 3, 10, 40])
@pytest.mark.parametrize(
    "store",
    [
        EventStore("store", append_s=0.01),
        EventStore("store", append_s=0.01, read_s=0.001),
        EventStore("store", append_s=0.002, read_s=0.001, durability="sync", sync_s=0.05),
    ],
    ids=["reading is free", "reading is quick", "sync"],
)
def test_writers_at_once_without_backoff_need_a_triangle_of_attempts(writers, store):
    """N (N + 1) / 2, exactly, where reading is quicker than appending: each round one wins, the others try in vain."""
    patient = Retry(1000, Backoff(0.0, 1, 0.0, "none"))
    assert at_once(writers, store, retry=patient).tried == attempts_at_once(writers) == writers * (writers + 1) // 2


def test_jitter_wastes_fewer_attempts():
    store = EventStore("store", append_s=0.005, read_s=0.001)
    tried = [at_once(20, store, seed=seed, retry=Retry(1000, Backoff(0.05, 2, 1.0, "full"))).tried for seed in range(5)]
    assert max(tried) < 0.5 * attempts_at_once(20)


# ---------------------------------------------------------------- what an acknowledgement is worth


def held(world, stream="account-7"):
    """The ids that the store holds in a stream."""
    return [each.event.id for each in world.live["store"].store.read(stream)]


_STORES = {
    "none": EventStore("store", durability="none", flush_every_s=3.5),
    "flush": EventStore("store", durability="flush", flush_every_s=3.5),
    "sync": EventStore("store", durability="sync", sync_s=0.01),
}


@pytest.mark.parametrize(
    ("durability", "power", "kept"),
    [
        ("none", False, [1, 2, 3, 4, 7, 8]),
        ("none", True, [1, 2, 3, 4, 7, 8]),
        ("flush", False, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("flush", True, [1, 2, 3, 4, 7, 8]),
        ("sync", False, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("sync", True, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_what_survives_a_crash_is_what_was_promised(durability, power, kept):
    """Flushed 3.5 s after the first append, at 4.5 s; the crash at 6.5 s comes before the next flush."""
    world = bank(pay, Crash("store", at_s=6.5, down_s=0.1, power=power), count=8, store=_STORES[durability])
    assert held(world) == [f"accounts:bank.{n}" for n in kept]
    lost = [f"accounts:bank.{n}" for n in range(1, 9) if n not in kept]
    assert ids(world.history, "lost", node="store") == lost
    confirmed = ids(world.history, "confirmed")
    assert confirmed == [f"accounts:bank.{n}" for n in range(1, 9)]
    found = [nothing_lost().judge(world.history), no_lost_writes().judge(world.history)]
    assert {verdict.state for verdict in found} == {"VIOLATED" if lost else "ok"}
    assert world.live["store"].store.verify() == len(kept)


def test_the_loss_is_told():
    world = bank(pay, Crash("store", at_s=6.5, down_s=0.1, power=True), count=8, store=_STORES["flush"])
    assert "accounts:bank.5" in str(nothing_lost().judge(world.history))
    told = world.history.story("accounts:bank.5")
    assert "store stored accounts:bank.5 in account-7 as version 4" in told
    assert "store confirmed accounts:bank.5 to accounts" in told
    assert "store lost accounts:bank.5, version 4 of account-7" in told


@pytest.mark.parametrize(("power", "kept"), [(False, 1), (True, 0)])
def test_a_crash_while_the_disk_is_awaited_leaves_the_outcome_open(power, kept):
    """Written and not synced: a process finds it again in its journal, a machine without power does not."""
    outcomes = []

    async def once(event, ctx):
        try:
            await ctx.append("store", "account-7", ("money.withdrawn", {}))
        except Unavailable as problem:
            outcomes.append(str(problem))

    store = EventStore("store", durability="sync", sync_s=1.0)
    world = bank(once, Crash("store", at_s=1.5, power=power), count=1, store=store)
    assert outcomes == ["store crashed"]
    assert len(held(world)) == kept
    assert len(ids(world.history, "confirmed")) == 0
    assert nothing_lost().judge(world.history).state == "ok", "nobody was promised anything"


def test_readers_do_not_see_what_the_disk_does_not_have():
    seen = []

    async def look(event, ctx):
        if event.id == "bank.1":
            await ctx.append("store", "account-7", ("money.withdrawn", {}))
        else:
            found = await ctx.read("store", "account-7")
            seen.append((ctx.now, len(found), found.version))

    bank(look, count=3, members=3, store=EventStore("store", durability="sync", sync_s=1.5))
    assert seen == [(2.0, 0, NONE), (3.0, 1, 0)]


def test_the_newest_is_the_newest_that_one_may_see():
    seen = []

    async def look(event, ctx):
        if event.id in {"bank.1", "bank.2"}:
            await ctx.append("store", "account-7", ("money.withdrawn", {}))
        else:
            found = await ctx.read("store", "account-7", backwards=True, limit=1)
            everywhere = await ctx.read("store", None, backwards=True, limit=1)
            seen.append((ctx.now, [each.version for each in found], found.version, everywhere.version))

    bank(look, count=4, members=4, store=EventStore("store", durability="sync", sync_s=1.5))
    assert seen == [(3.0, [0], 0, 1), (4.0, [1], 1, 2)]


@pytest.mark.parametrize("store", _STORES.values(), ids=_STORES)
def test_an_acknowledgement_that_was_lost_is_asked_for_again_and_the_event_taken_once(store):
    asking = Calling(timeout_s=1.0, retry=Retry(5, Backoff(0.5, 1, 0.5, "none")))
    world = bank(pay, Drop("store", "accounts", share=1.0, at_s=0, for_s=3), count=1, store=store, calling=asking)
    assert held(world) == ["accounts:bank.1"]
    assert len(ids(world.history, "stored", node="store")) == 1
    assert len(ids(world.history, "deduplicated", node="store")) > 1
    assert ids(world.history, "confirmed") == ["accounts:bank.1"]


def test_who_gives_up_does_not_know_and_a_handling_that_is_done_again_appends_once():
    """The store freezes: the caller stops waiting, the append happens all the same; the handler is tried again."""
    again = Retry(20, Backoff(1.0, 1, 1.0, "none"))
    world = bank(pay, Pause("store", at_s=0.9, for_s=4), count=1, calling=Calling(timeout_s=0.5), retry=again)
    assert len(ids(world.history, "timed_out")) == 3
    assert held(world) == ["accounts:bank.1"]
    assert ids(world.history, "confirmed") == ["accounts:bank.1"]


def test_a_member_that_crashes_after_its_append_appends_once():
    world = bank(pay, Crash("accounts", after="handled", nth=2, down_s=2), count=4)
    assert held(world) == [f"accounts:bank.{n}" for n in (1, 2, 3, 4)]
    assert ids(world.history, "deduplicated", node="store") == ["accounts:bank.2"]


def test_one_that_cannot_be_reached_or_is_down_is_unavailable():
    problems = []

    async def careful(event, ctx):
        try:
            await ctx.read("store", "account-7")
        except Unavailable as problem:
            problems.append(str(problem))

    faults = (Partition("accounts", "store", at_s=0.5, for_s=1), Crash("store", at_s=1.7, down_s=1))
    bank(careful, *faults, count=3)
    assert problems == ["store could not be reached", "store is not available"]


# ---------------------------------------------------------------- what is refused


def test_what_does_not_fit_is_refused_before_the_run():
    def problem(**settings):
        return str(Scenario(EventStore("store", **settings)).problems())

    assert "leave flush_every_s out" in problem(durability="sync", flush_every_s=1)
    assert "sync_s is for durability='sync'" in problem(sync_s=1)
    with pytest.raises(BadScenario, match="durability"):
        EventStore("store", durability="always")


@pytest.mark.parametrize("ask", ["call", "read"])
def test_an_event_store_is_read_and_a_service_called(ask):
    async def mixed_up(event, ctx):
        await (ctx.call("store") if ask == "call" else ctx.read("commands", "account-7"))

    with pytest.raises(BadScenario, match=r"await ctx\.read" if ask == "call" else "'commands' is no event store"):
        bank(mixed_up, count=1)


def test_bad_events_are_refused_in_the_handler():
    problems = []

    async def wrong(event, ctx):
        for attempt in (
            lambda: ctx.append("store", "account-7", []),
            lambda: ctx.append("store", "", ("money.withdrawn", {})),
            lambda: ctx.append("store", "account-7", ("money.withdrawn", {}), expected=-1),
            lambda: ctx.read("store", "no\nname"),
        ):
            try:
                await attempt()
            except BadEvent as problem:
                problems.append(str(problem).split(";")[0])

    world = bank(wrong, count=1)
    assert len(problems) == 4
    assert world.live["store"].store.position == 0


# ---------------------------------------------------------------- under random faults


def _faults():
    times = st.floats(0, 40).map(lambda time: round(time, 2))
    return st.lists(
        st.one_of(
            st.builds(lambda at, down, power: Crash("store", at_s=at, down_s=down, power=power),
                      times, st.floats(0, 5), st.booleans()),
            st.builds(lambda at, down: Crash("accounts", at_s=at, down_s=down), times, st.floats(0, 5)),
            st.builds(Pause,
                      st.sampled_from(["store", "accounts-1", "accounts-2"]), times, st.floats(0.1, 5)),
            st.builds(lambda way, share, at, length: Drop(*way, share=share, at_s=at, for_s=length),
                      st.sampled_from([("accounts", "store"), ("store", "accounts")]),
                      st.floats(0.1, 1), times, st.floats(0.1, 10)),
            st.builds(lambda at, length: Partition("accounts", "store", at_s=at, for_s=length),
                      times, st.floats(0.1, 5)),
        ),
        max_size=5,
    ).map(possible)  # fmt: skip


async def _withdraw(event, ctx):
    seen = await ctx.read("store", "account-7")
    if any(each.event.causation_id == event.id for each in seen):
        return
    await ctx.sleep(0.3)
    balance = seen[-1].event.data["balance"] if seen else 0
    await ctx.append("store", "account-7", ("money.withdrawn", {"balance": balance - 1}), expected=seen.version)


def _shop(store, *faults, seed=7):
    return bank(
        _withdraw, *faults, store=store, count=30, gap_s=0.4, members=2, until_s=200, seed=seed,
        calling=Calling(timeout_s=1.0, retry=Retry(3, Backoff(0.1))), retry=Retry(1000, Backoff(0.2, cap_s=5.0)),
    )  # fmt: skip


_FAULTY = [
    EventStore("store", append_s=0.02, read_s=0.01, durability="none", flush_every_s=2.0),
    EventStore("store", append_s=0.02, read_s=0.01, durability="flush", flush_every_s=4.0),
    EventStore("store", append_s=0.02, read_s=0.01, durability="sync", sync_s=0.1),
]


@pytest.mark.parametrize("store", _FAULTY, ids=lambda store: store.durability)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(faults=_faults())
def test_what_an_acknowledgement_promises_is_kept_under_any_faults(store, faults):
    """And versions have no gap, no balance is decided twice, and what the history says is what the store holds."""
    world = _shop(store, *faults)
    history, inside = world.history, held(world)
    lost = set(ids(history, "lost", node="store")) - set(inside)
    confirmed = set(ids(history, "confirmed"))
    assert confirmed <= set(inside) | lost
    power = any(getattr(fault, "power", False) for fault in faults)
    crash = any(isinstance(fault, Crash) and fault.part == "store" for fault in faults)
    if store.durability == "sync" or (store.durability == "flush" and not power) or not crash:
        assert not lost
    balances = [each.event.data["balance"] for each in world.live["store"].store.read("account-7")]
    assert balances == list(range(-1, -len(balances) - 1, -1)), "no update is lost"
    assert world.live["store"].store.verify() == len(inside)
    rows = [record.number for record in history.of(("stored", "lost"), node="store")]
    assert len(inside) == len(rows) - 2 * len(ids(history, "lost", node="store"))
    if not lost:
        assert len(inside) == 30, "each command is done in the end"
        assert nothing_lost().judge(history).state == "ok"


def test_the_same_run_twice_says_the_same():
    faults = (Crash("store", at_s=5, down_s=1, power=True), Drop("store", "accounts", share=0.5, at_s=1, for_s=5))
    digests = {_shop(_FAULTY[1], *faults, seed=seed).history.digest() for seed in (1, 1, 2)}
    assert len(digests) == 2


# ---------------------------------------------------------------- the planted bug


def _blind(expected):
    """A handler that decides by what it has read; the broken one appends whatever has come in between."""

    async def withdraw(event, ctx):
        seen = await ctx.read("store", "account-7")
        await ctx.sleep(0.2)
        balance = seen[-1].event.data["balance"] if seen else 0
        version = seen.version if expected else ANY
        await ctx.append("store", "account-7", ("money.withdrawn", {"balance": balance - 1}), expected=version)

    return Scenario(
        Publisher("bank", to="commands", gap_s=Constant(1.0), count=4, type="withdraw.money"),
        Log("commands", partitions=2),
        Consumer("accounts", of="commands", on={"withdraw.money": withdraw}, members=2, retry=Retry(50, Backoff(0.1))),
        EventStore("store"),
        name="withdrawals",
    )


def no_update_is_lost(history):
    """Every withdrawal stands on the balance before it."""
    stored = [history.event_at(history.index(event_id)) for event_id in ids(history, "stored", node="store")]
    return all(event.data["balance"] == -n for n, event in enumerate(stored, start=1))


def test_a_search_finds_the_append_that_expects_nothing():
    found = _blind(expected=False).search(
        no_update_is_lost, budget=300, until_s=30, faults=("crash", "pause", "crash_at"), progress=False
    )
    assert found.found
    assert len(found.case.faults) <= 2
    right = _blind(expected=True).search(
        no_update_is_lost, budget=100, until_s=30, faults=("crash", "pause", "crash_at"), progress=False
    )
    assert not right.found, str(right)


# ---------------------------------------------------------------- how it is shown


def test_it_is_drawn_and_explained():
    def shop(**settings):
        return _blind(expected=True).replace("store", **settings)

    told = shop(append_s=Constant(0.002), durability="sync", sync_s=Constant(0.003)).explain()
    assert "an event store, 200/s appended one at a time; durability sync: nothing that it acknowledged" in told
    assert "a power cut loses what it acknowledged in the last 30 s" in shop().explain()
    run = shop().replace("bank", gap_s=Constant(0.1)).plus(Crash("store", at_s=3, power=True)).run(until_s=10, seed=7)
    drawn = run.topology()
    assert "accounts-1 to store" in drawn.caption
    assert "durability flush" in drawn.caption
    assert "meets a conflict" in run.timeline("bank.2").caption
    assert "store loses accounts:bank.1" in run.timeline("accounts:bank.1").caption
    assert run.summary()["lost"] == 4


def test_a_decider_decides_in_a_handler():
    """Read, fold, decide, append: what is refused is rejected, and put aside by the queue."""

    async def obey(event, ctx):
        seen = await ctx.read("store", "account-7")
        state = ACCOUNT.state_of(each.event for each in seen)
        await ctx.append("store", "account-7", ACCOUNT.decided(state, event), seen.version)

    world = till(
        Publisher("boss", to="commands", gap_s=Constant(0.5), count=1, type="pay.money", data={"amount": 100}),
        Publisher("bank", to="commands", gap_s=Constant(1.0), count=4, type="withdraw.money", data={"amount": 30}),
        Queue("commands", dead_letter="aside"),
        Queue("aside"),
        Consumer("accounts", of="commands", on={"pay.money": obey, "withdraw.money": obey}),
        EventStore("store"),
    )
    events = [each.event for each in world.live["store"].store.read("account-7")]
    assert [event.type for event in events] == ["money.paid", *3 * ["money.withdrawn"]]
    assert ACCOUNT.state_of(events)["balance"] == 10
    assert ids(world.history, "rejected") == ["bank.4"]
    assert ids(world.history, "stored", node="aside") == ["bank.4"]


# ---------------------------------------------------------------- in the catalogue

_HUNT = {"until_s": 40, "faults": ("crash", "crash_at", "pause", "drop"), "progress": False}


def test_the_machines_of_the_catalogue_are_right_and_the_blind_ones_are_found():
    right = catalog.get("withdrawals").search(never_overdrawn, nothing_lost(), budget=60, **_HUNT)
    assert not right.found, str(right)
    found = catalog.get("withdrawals-blind").search(never_overdrawn, budget=300, **_HUNT)
    assert found.found
    assert "took the balance to -10" in found.verdict.lines[0]


def test_the_scenario_can_be_kept_in_a_file():
    shop = catalog.get("withdrawals")
    again = Scenario.from_yaml(shop.to_yaml())
    assert again == shop
    assert again.run(until_s=20, seed=7).history.digest() == shop.run(until_s=20, seed=7).history.digest()


def test_a_command_ends_in_what_the_store_keeps():
    """Events that nobody is told of are at their end; those that were confirmed and lost are not."""
    shop = catalog.get("withdrawals").replace("store", durability="flush", sync_s=Constant(0.0))
    calm = shop.run(until_s=60, seed=7)
    assert calm.check(every("withdraw.money").ends)[0].state == "ok"
    assert not calm.check(every("withdraw.money").ends)[0].lines, "nothing is under way"
    first = shop.replace("customers", count=5).run(until_s=60, seed=7)
    assert first.check(every("withdraw.money").ends_in("money.withdrawn"))[0].state == "ok"
    cut = shop.plus(Crash("store", at_s=3, power=True)).run(until_s=60, seed=7)
    verdict = cut.check(every("withdraw.money").ends)[0]
    assert verdict.state == "VIOLATED"
    assert "lost by store itself at 3.000 s" in verdict.lines[0]
