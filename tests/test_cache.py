"""A cache answers what it knows, forgets by time or by event, and is measured against the formulas."""

import math

import pytest
from precision import assert_near

from evsim import (
    BadScenario,
    Cache,
    Consumer,
    Crash,
    EventStore,
    Exponential,
    Link,
    Log,
    Pause,
    Publisher,
    Scenario,
    Service,
    Skew,
    Unavailable,
    Wiretap,
    Zipf,
)
from evsim.view.caching import hit_ratio, looked_up, stale_share, ttl_hit_ratio, ttl_stale_share


def rows(run, *steps):
    every = (run.history.record_at(row) for row in range(len(run.history)))
    return [row for row in every if row.step in steps]


def reading(cache, *more, rate=2.0, key="product-1", service_s=0.0, **settings):
    return Scenario(
        Publisher("web", to="cache", rate=rate, key=key, type="read.price", **settings),
        cache,
        Service("prices", service_s=service_s),
        *more,
    )


# ---------------------------------------------------------------- theory


@pytest.mark.parametrize(("rate", "ttl_s", "load_s"), [(2, 4.5, 0), (0.5, 1, 0), (10, 0.3, 0), (2, 2, 0.5), (5, 1, 2)])
def test_the_hit_ratio_of_poisson_readers_is_that_of_the_formula(rate, ttl_s, load_s):
    cache = Cache("cache", origin="prices", ttl_s=ttl_s, stampede="lock")
    scenario = reading(cache, rate=rate, service_s=load_s)
    found = [hit_ratio(scenario.run(20_000 / rate, seed).history, "cache") for seed in (1, 2, 3, 4)]
    assert_near(found, ttl_hit_ratio(rate, ttl_s, load_s))


@pytest.mark.parametrize(("change_rate", "ttl_s", "runs"), [(0.1, 10, 30), (1, 1, 30), (0.2, 2, 40)])
def test_the_share_of_stale_hits_is_that_of_the_formula(change_rate, ttl_s, runs):
    """The cache is told nothing: only time makes it forget. What counts is how many changes there are, not hits."""
    cache = Cache("cache", origin="prices", ttl_s=ttl_s, changes=("price.changed",))
    scenario = reading(
        cache,
        Publisher("catalog", to="changes", rate=change_rate, key="product-1", type="price.changed"),
        Log("changes"),
        rate=3 / min(ttl_s, 1 / change_rate),
    )
    until_s = 2000 * max(ttl_s, 1 / change_rate)
    found = [stale_share(scenario.run(until_s, seed).history, "cache") for seed in range(1, runs + 1)]
    assert_near(found, ttl_stale_share(change_rate, ttl_s))


def test_formulas_know_their_limits():
    assert ttl_hit_ratio(2, 0) == 0
    assert ttl_stale_share(0, 5) == 0
    assert ttl_stale_share(1e-9, 1) == pytest.approx(5e-10, rel=1e-6)
    for bad in (lambda: ttl_hit_ratio(-1, 1), lambda: ttl_stale_share(1, -1)):
        with pytest.raises(BadScenario, match="negative"):
            bad()


def test_a_cache_that_nobody_asked_has_no_ratio():
    run = reading(Cache("cache", origin="prices"), rate=1e-9).run(10, seed=1)
    assert math.isnan(hit_ratio(run.history, "cache"))
    assert math.isnan(stale_share(run.history, "cache"))


# ---------------------------------------------------------------- forgetting by event


def told(delay_s=0.0, **settings):
    return reading(
        Cache("cache", origin="prices", of="changes", invalidate=("price.*",), ttl_s=None, **settings),
        Publisher("catalog", to="changes", rate=0.5, key="product-1", type="price.changed"),
        Log("changes"),
        Link("catalog", "changes", delay_s=delay_s),
        rate=20,
    )


def test_who_is_told_of_a_change_forgets_it_and_is_stale_only_on_the_way():
    """Stale hits come while the word is on its way: at most the share of time that it takes."""
    at_once, later = told().run(4000, seed=1), told(delay_s=0.1).run(4000, seed=1)
    assert looked_up(at_once.history, "cache")["stale"] == 0
    assert looked_up(at_once.history, "cache")["invalidated"] == len(rows(at_once, "invalidated")) > 1800
    assert stale_share(later.history, "cache") == pytest.approx(0.5 * 0.1, rel=0.1)


@pytest.mark.parametrize("by_s", [100.0, -100.0])
def test_what_is_stale_does_not_depend_on_the_clock_of_who_publishes(by_s):
    """A clock that is fast made lies of all that was true, one that is slow hid those that were there."""
    for right in told(), told(delay_s=0.1):
        wrong = right.plus(Skew("catalog", by_s=by_s)).run(400, seed=1)
        assert looked_up(wrong.history, "cache") == looked_up(right.run(400, seed=1).history, "cache")


def test_a_change_that_an_event_store_keeps_makes_stale_from_when_it_is_stored():
    async def change(event, ctx):
        await ctx.append("store", "prices", ("price.changed", {}))

    run = Scenario(
        Publisher("web", to="cache", gap_s=1, count=6, key="product-1", type="read.price"),
        Cache("cache", origin="prices", changes=("price.changed",), ttl_s=None),
        Service("prices"),
        Publisher("boss", to="wishes", gap_s=2.25, count=1, key="product-1", type="change.price"),
        Log("wishes"),
        Consumer("desk", of="wishes", on={"change.price": change}),
        EventStore("store", append_s=2.0),
    ).run(10, seed=1)
    assert [row.time for row in rows(run, "stored") if row.node == "store"] == [4.25]
    assert [row.time for row in rows(run, "stale")] == [5, 6]


def test_a_change_happens_once_however_often_it_is_passed_on():
    run = Scenario(
        Publisher("web", to="cache", gap_s=1, count=6, key="product-1", type="read.price"),
        Cache("cache", origin="prices", changes=("price.changed",), ttl_s=2),
        Service("prices"),
        Publisher("catalog", to="raw", gap_s=1.5, count=1, key="product-1", type="price.changed"),
        Log("raw"),
        Wiretap("tap", of="raw", to="copies", service_s=3.0),
        Log("copies"),
    ).run(10, seed=1)
    assert [row.time for row in rows(run, "published") if row.node == "tap"] == [4.5]
    assert [row.time for row in rows(run, "stale")] == [2]


def test_each_key_is_forgotten_alone():
    scenario = reading(
        Cache("cache", origin="prices", of="changes", invalidate=("price.changed",), ttl_s=None),
        Publisher("catalog", to="changes", gap_s=10, count=1, key="product-1", type="price.changed"),
        Publisher("other", to="cache", gap_s=1, key="product-2", type="read.price"),
        Publisher("noise", to="changes", gap_s=1, key="product-2", type="stock.changed"),
        Log("changes"),
    )
    run = scenario.run(30, seed=1)
    assert len([row for row in rows(run, "loaded") if row.event_id.startswith("other")]) == 1
    assert len([row for row in rows(run, "loaded") if row.event_id.startswith("web")]) == 2
    assert {row.event_id for row in rows(run, "invalidated")} == {"catalog.1"}


def overtaken(stampede):
    """A question is on its way to the origin when the price changes; the old answer comes after the word."""
    return Scenario(
        Publisher("web", to="cache", gap_s=1, count=3, key="product-1", type="read.price"),
        Cache("cache", origin="prices", of="changes", invalidate=("price.changed",), ttl_s=None, stampede=stampede),
        Service("prices", service_s=0.8),
        Publisher("catalog", to="changes", gap_s=1.5, count=1, key="product-1", type="price.changed"),
        Log("changes"),
    ).run(10, seed=1)


def test_an_answer_that_was_overtaken_is_kept_as_a_lie_or_with_a_lock_not_kept():
    assert [row.step for row in rows(overtaken("none"), "stale", "hit", "miss")] == [
        "miss",
        "hit",
        "stale",
        "hit",
        "stale",
    ]
    assert [row.step for row in rows(overtaken("lock"), "stale", "hit", "miss")] == ["miss", "miss", "hit"]


# ---------------------------------------------------------------- stampedes


def crowd(stampede, **settings):
    cache = Cache("cache", origin="prices", ttl_s=10, stampede=stampede, **settings)
    return reading(cache, rate=100, service_s=0.5).run(500, seed=1)


def test_a_stampede_asks_the_origin_many_times_and_a_lock_once():
    herd, single, early = crowd("none"), crowd("lock"), crowd("early")
    loads = {name: len(rows(run, "called")) for name, run in (("none", herd), ("lock", single), ("early", early))}
    cycles = 500 / 10.5
    assert loads["none"] > 40 * cycles
    assert loads["lock"] == pytest.approx(cycles, abs=2)
    assert loads["early"] < loads["none"] / 10
    assert len(rows(single, "loaded")) == loads["lock"]


def test_an_eager_reader_renews_earlier():
    assert len(rows(crowd("early", beta=4), "called")) > len(rows(crowd("early"), "called"))


def test_readers_of_early_renewal_seldom_wait():
    """After the first loading an entry is renewed before it ends, so hardly anybody finds nothing."""
    run = crowd("early")
    late = [row for row in rows(run, "miss") if row.time > 1]
    assert len(late) < 0.05 * len(rows(run, "hit"))


# ---------------------------------------------------------------- when things go wrong


def test_a_crash_empties_the_cache_and_ends_the_calls():
    cache = Cache("cache", origin="prices", ttl_s=None)
    run = reading(cache, Crash("cache", at_s=10, down_s=5), rate=5, service_s=0.3).run(30, seed=1)
    assert {row.time > 15 or row.time < 11 for row in rows(run, "loaded")} == {True}
    refused = rows(run, "refused")
    assert refused
    assert all(10 <= row.time <= 15 for row in refused)
    asked, answered = rows(run, "delivered"), rows(run, "handled", "failed")
    assert len(asked) - len(answered) <= 5


def test_a_pause_holds_the_questions_and_loses_none():
    cache = Cache("cache", origin="prices", ttl_s=2, service_s=0.001)
    run = reading(cache, Pause("cache", at_s=10, for_s=5), rate=5, service_s=0.3, count=100).run(60, seed=1)
    assert len(rows(run, "handled")) == 100
    assert not [row for row in rows(run, "hit", "miss") if 10 < row.time < 15]


def test_a_cache_that_listens_loses_its_memory_too():
    crashed = told().plus(Crash("cache", at_s=100, down_s=1)).run(200, seed=1)
    assert len(rows(crashed, "refused")) > 5
    assert rows(crashed, "hit")[-1].time > 190


def test_an_origin_that_fails_is_not_remembered():
    cache = Cache("cache", origin="prices", ttl_s=None, stampede="lock")
    run = reading(cache, Crash("prices", at_s=0, down_s=10), rate=5, service_s=0.1).run(20, seed=1)
    assert all(row.time >= 10 for row in rows(run, "loaded"))
    assert [row for row in rows(run, "failed") if row.node == "web"]
    assert len(rows(run, "loaded")) == 1


def test_a_handler_may_ask_a_cache():
    answers = []

    async def price(_event, ctx):
        try:
            answers.append(await ctx.call("cache"))
        except Unavailable:
            answers.append(None)

    Scenario(
        Publisher("shop", to="orders", rate=5, key=Zipf(20, 1.0, stem="product"), count=50),
        Log("orders"),
        Consumer("pricing", of="orders", on={"order.placed": price}),
        Cache("cache", origin="prices"),
        Service("prices", service_s=Exponential(0.01), availability=0.9),
    ).run(60, seed=1)
    assert len(answers) == 50
    assert True in answers


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"origin": "price"}, "did you mean 'prices'"),
        ({"origin": "cache"}, "circle"),
        ({"of": "changes"}, "but to what"),
        ({"invalidate": ("price.changed",)}, "hears of no event"),
        ({"stampede": "early", "ttl_s": None}, "never grows too old"),
        ({"changes": ("price.ch*",)}, "whole words"),
        ({"stampede": "locked"}, "did you mean 'lock'"),
    ],
)
def test_a_cache_that_cannot_work_is_refused_in_a_sentence(settings, said):
    with pytest.raises(BadScenario) as refused:
        reading(Cache("cache", **{"origin": "prices"} | settings), Log("changes")).check()
    assert said in str(refused.value)


def test_a_cache_can_be_kept_in_a_file_and_explained():
    shop = told(stampede="lock")
    assert Scenario.from_yaml(shop.to_yaml()) == shop
    assert "cache, and on a miss for prices" in str(shop.explain())


def test_the_story_of_a_question_tells_what_the_cache_knew():
    run = told(delay_s=0.1).run(60, seed=1)
    stale = rows(run, "stale")[0].event_id
    assert "cache knew the answer" in run.story(stale)
    assert "outdated" in run.story(stale)
    change = rows(run, "invalidated")[0].event_id
    assert f"cache forgot what {change} had changed" in run.story(change)
