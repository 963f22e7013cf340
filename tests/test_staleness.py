"""How stale a read model is follows formulas; what sessions met is told from the history alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from precision import assert_near
from shops import run

from evsim import (
    Clients,
    Consumer,
    Crash,
    Event,
    Exponential,
    History,
    Link,
    Log,
    Projection,
    Publisher,
    Queue,
    Scenario,
    cures,
)
from evsim.errors import BadScenario, UnknownName
from evsim.view import plots, staleness
from evsim.view.sessions import monotonic_reads, read_your_writes


def shop(rate=8.0, service_rate=10.0, sessions=4, views=("view",), **clients):
    return (
        Clients("customers", to="orders", views=views, rate=rate, sessions=sessions, **clients),
        Log("orders"),
        *(Projection(view, of="orders", service_s=Exponential(1 / service_rate)) for view in views),
    )


# -------------------------------------------------------------------- against formulas


@pytest.mark.parametrize(
    ("rate", "service_rate", "after_s", "runs"), [(6, 10, 0.25, 20), (3, 5, 0.4, 12), (9, 16, 0.1, 8), (8, 10, 0.1, 6)]
)
def test_an_own_write_is_hidden_as_the_formula_says(rate, service_rate, after_s, runs):
    """The busier the projector, the more runs it takes; of the canonical case the shortest wait is had in seconds."""
    until_s = 8000 / (service_rate - rate)
    unread = shop(rate, service_rate, read_after_s=until_s)
    found = [
        staleness.hidden_share(run(*unread, until_s=until_s, seed=seed), after_s, from_s=50) for seed in range(runs)
    ]
    assert_near(found, staleness.hidden_law(rate, service_rate, after_s))


@pytest.mark.slow
def test_the_canonical_case_within_three_per_cent():
    """Eight writes a second, ten projected: 0.8187, 0.3679, 0.1353."""
    waits_s, shares = (0.1, 0.5, 1.0), []
    for seed in range(32):  # with four fifths of the time busy, the luck of one run is slow to wear off
        history = run(*shop(8, 10), until_s=20_000, seed=seed)
        shares.append([staleness.hidden_share(history, after_s, from_s=50) for after_s in waits_s])
    for found, expected in zip(np.transpose(shares), [0.8187, 0.3679, 0.1353], strict=True):
        assert_near(found, expected)


def test_the_latest_version_of_a_key_is_hidden_as_often_as_the_canon_says():
    """Two updates a second of one key, seen a quarter of a second later: 1/3."""
    runs = [run(*shop(4, 8, sessions=2), until_s=5000, seed=seed) for seed in range(6)]
    assert_near((1 - staleness.versions_behind(each, from_s=50)[0] for each in runs), 1 / 3)


@pytest.mark.parametrize(("rate", "service_rate", "sessions"), [(8, 12, 4), (6, 10, 2), (5, 9, 20)])
def test_versions_behind_are_geometric(rate, service_rate, sessions):
    runs = [
        run(*shop(rate, service_rate, sessions), until_s=10_000 / (service_rate - rate), seed=seed) for seed in range(8)
    ]
    shares = [staleness.versions_behind(each, from_s=50) for each in runs]
    assert all(share.sum() == pytest.approx(1) for share in shares)
    key_rate, delay_s = rate / sessions, 1 / (service_rate - rate)
    law = staleness.versions_law(key_rate, delay_s, 3)
    assert_near((1 - share[0] for share in shares), staleness.latest_hidden_law(key_rate, delay_s))
    for behind in range(2):
        assert_near((share[behind] for share in shares), law[behind])


def test_the_canonical_numbers():
    for after_s, expected in ((0.1, 0.8187), (0.5, 0.3679), (1.0, 0.1353)):
        assert staleness.hidden_law(8, 10, after_s) == pytest.approx(expected, abs=5e-5)
    assert staleness.latest_hidden_law(2, 0.25) == pytest.approx(1 / 3)
    assert staleness.drain_law_s(8, 10, 30) == 120
    assert staleness.hidden_law(8, 10, staleness.wait_law_s(8, 10, 0.001)) == pytest.approx(0.001)


def test_what_clients_meet_is_what_the_rows_say():
    """Reads that come half a second after the write fail as often as writes are hidden for half a second."""
    history = run(*shop(read_after_s=0.5), until_s=3000)
    met = staleness.reads(history)
    assert met.stale.mean() == pytest.approx(staleness.hidden_share(history, 0.5), abs=0.01)


def test_a_projector_that_crashed_catches_up_as_the_formula_says():
    """What came while it was down, 8/s for 50 s, and what comes meanwhile, is drained at 20/s."""
    crash = Crash("view", at_s=100, down_s=50)
    drained = []
    for seed in range(32):
        history = run(*shop(8, 20), crash, until_s=400, seed=seed)
        found = staleness.sides(history)
        behind = [(time, n) for time, n in zip(*staleness.behind(found), strict=True) if time >= 150]
        drained.append(next(time for time, n in behind if n == 0) - 150)
    assert_near(drained, staleness.drain_law_s(8, 20, 50), rel=0.06)


# -------------------------------------------------------------------- cures


def test_without_a_cure_both_promises_break():
    history = run(*shop(views=("view", "other"), read_after_s=0.05, reads=3), until_s=200)
    ryw, monotonic = read_your_writes().judge(history), monotonic_reads().judge(history)
    assert ryw.state == monotonic.state == "VIOLATED"
    assert "had written version" in ryw.lines[0]
    assert "after it had seen version" in monotonic.lines[0]
    assert ryw.event_ids
    assert ryw.key


@pytest.mark.parametrize(("cure", "monotonic"), [("wait", "VIOLATED"), ("write_side", "ok"), ("token", "ok")])
def test_three_cures_show_everybody_its_writes(cure, monotonic):
    """Who waits for its own last write may have seen more elsewhere, and then it goes back; a token knows that too."""
    history = run(*shop(views=("view", "other"), read_after_s=0.05, reads=3, cure=cure, patience_s=60), until_s=200)
    assert read_your_writes().judge(history).state == "ok"
    assert monotonic_reads().judge(history).state == monotonic
    assert len(staleness.reads(history).event) > 1000


def test_a_sticky_session_does_not_go_back_and_does_not_see_its_writes():
    history = run(*shop(views=("view", "other"), read_after_s=0.05, reads=3, cure="sticky"), until_s=200)
    assert monotonic_reads().judge(history).state == "ok"
    assert read_your_writes().judge(history).state == "VIOLATED"


@pytest.mark.parametrize(("cure", "monotonic"), [("wait", None), ("write_side", "ok"), ("token", "ok")])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_cures_go_by_the_order_of_the_log_where_writes_overtake_each_other(cure, monotonic, seed):
    """What a session wrote first may come last; a read that comes before its own write is at the log is out of it."""
    parts = shop(views=("view", "other"), read_after_s=2.0, reads=3, cure=cure, patience_s=60)
    history = run(*parts, Link("customers", "orders", delay_s=Exponential(0.1), ordered=False), until_s=200, seed=seed)
    assert read_your_writes().judge(history).state == "ok"
    assert monotonic is None or monotonic_reads().judge(history).state == monotonic


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_token_never_goes_back_though_reads_overtake_writes(seed):
    parts = shop(views=("view", "other"), read_after_s=0.05, reads=3, cure="token")
    history = run(*parts, Link("customers", "orders", delay_s=Exponential(0.1), ordered=False), until_s=200, seed=seed)
    assert monotonic_reads().judge(history).state == "ok"


def test_what_cures_cost():
    """Who waits is slow, who asks the write side burdens it, a token does that only as often as a view is behind."""
    took, load = {}, {}
    for cure in (None, "wait", "write_side", "token"):
        how = {"cure": cure, "read_after_s": 0.099, "read_s": 0.001, "write_read_s": 0.05, "patience_s": 60}
        history = run(*shop(8, 16, **how), until_s=2000)
        met = staleness.reads(history)
        took[cure], load[cure] = met.took_s.mean(), met.at_source.mean()
    assert took[None] == pytest.approx(0.001, abs=1e-6)
    assert took["write_side"] == pytest.approx(0.05, abs=1e-6)
    assert took["wait"] == pytest.approx(0.001 + math.exp(-0.8) / 8, rel=0.08)
    assert load == {None: 0, "wait": 0, "write_side": 1, "token": pytest.approx(math.exp(-0.8), rel=0.06)}


def test_patience_ends_a_wait():
    history = run(*shop(8, 10, cure="wait", patience_s=0.2), Crash("view", at_s=5, down_s=60), until_s=60)
    met = staleness.reads(history)
    assert met.took_s.max() == pytest.approx(0.2, abs=1e-6)
    assert read_your_writes().judge(history).state == "VIOLATED"


# -------------------------------------------------------------------- little histories


def written(*rows, views=("view",)):
    """A history by hand: ``(time, what, place, number of the event)``, all of the key ada."""
    history = History()
    history.parts["shop"] = {"kind": "clients", "name": "shop", "to": "orders"}
    for view in views:
        history.parts[view] = {"kind": "consumer", "name": view, "of": "orders", "projection": {"checkpoint": "with"}}
    events: dict[int, int] = {}
    for time, step, place, n in rows:
        if n not in events:
            events[n] = history.add(Event(f"order.{n}", "order.placed", 0.0, "shop", {}, key="ada"))
        node, where = {
            "stored": ("orders", "orders/0"),
            "saved": (place, "orders/0"),
        }.get(step, ("shop-1", place))
        history.record(time, history.code(step, node, where), events[n], 1)
    return history


def test_nobody_read_anything():
    empty = written()
    assert read_your_writes().judge(empty).state == "unknown"
    assert monotonic_reads().judge(empty).state == "unknown"
    assert read_your_writes().judge(History()).state == "unknown"
    assert len(staleness.versions_behind(empty)) == 0
    assert math.isnan(staleness.hidden_share(empty, 1.0))


def test_the_moment_itself_counts_as_seen():
    rows = [(0, "stored", "", 1), (1, "saved", "view", 1), (1, "asked", "view", 1), (1, "read", "view", 1)]
    assert read_your_writes().judge(written(*rows)).state == "ok"


def test_a_younger_version_will_do():
    rows = [(0, "stored", "", 1), (0, "stored", "", 2), (1, "saved", "view", 2)]
    rows += [(2, "asked", "view", 1), (2, "read", "view", 1)]
    assert read_your_writes().judge(written(*rows)).state == "ok"


def test_time_goes_back_between_two_views():
    rows = [(0, "stored", "", 1), (1, "saved", "view", 1)]
    rows += [(2, "asked", "view", 1), (2, "read", "view", 1), (3, "asked", "other", 1), (3, "read", "other", 1)]
    verdict = monotonic_reads().judge(written(*rows, views=("view", "other")))
    assert verdict.state == "VIOLATED"
    assert verdict.times == (3, 3)


def test_the_versions_of_a_little_history():
    """Written at 0 and 2, seen at 1 and 4, looked at until 8: one version behind for 1 + 2 of 8 seconds."""
    rows = [(0, "stored", "", 1), (1, "saved", "view", 1), (2, "stored", "", 2), (4, "saved", "view", 2)]
    history = written(*rows, (8, "asked", "view", 2))
    assert staleness.versions_behind(history).tolist() == [5 / 8, 3 / 8]
    assert staleness.versions_behind(history, from_s=3).tolist() == [4 / 5, 1 / 5]
    assert staleness.sides(history).after_s().tolist() == [1, 2]
    assert staleness.quantile_s(history, 0.5) == 1
    assert staleness.quantile_s(history, 0.99) == 2


def test_names_and_numbers_are_checked():
    with pytest.raises(UnknownName, match="no projection"):
        staleness.sides(History())
    with pytest.raises(UnknownName, match="did you mean 'view'"):
        staleness.sides(written(), "vew")
    with pytest.raises(UnknownName, match="which projection"):
        staleness.sides(written(views=("a", "b")))
    with pytest.raises(BadScenario, match="nothing spare"):
        staleness.hidden_law(10, 10, 1)
    with pytest.raises(BadScenario, match="no share"):
        staleness.wait_law_s(8, 10, 0)
    with pytest.raises(BadScenario, match="they write to"):
        Scenario(
            Clients("c", to="orders", views=("view",), rate=1),
            Log("orders"),
            Log("other"),
            Projection("view", of="other"),
        ).run(until_s=1, seed=1)


# -------------------------------------------------------------------- figures


def test_the_figures_tell_what_they_show():
    crash = Crash("view", at_s=20, down_s=10)
    scenario = Scenario(*shop(8, 20), crash)
    staleness_told, heads_told = (
        make() for make in (scenario.run(until_s=60, seed=1).staleness, scenario.run(until_s=60, seed=1).heads)
    )
    assert "formula" not in staleness_told.facts["half seen within"]  # a crash: no steady state
    assert heads_told.facts["faults"] == "view down 20 s to 30 s"
    assert "after its end" in heads_told.facts["caught up after view down"]
    quiet = Scenario(*shop(8, 20)).run(until_s=300, seed=1).staleness()
    assert quiet.facts["99 % seen within"].endswith("formula 384 ms")
    for figure in (staleness_told, heads_told, quiet):
        assert figure.png("dark").startswith(b"\x89PNG")


def test_figures_of_little_histories():
    assert "no staleness" in repr(plots.staleness(written()))
    assert "no heads" in repr(plots.heads(written()))
    never = written((0, "stored", "", 1), (5, "asked", "view", 1))
    assert plots.staleness(never).claim == "Some of what was written is never seen in view"
    assert plots.heads(never).facts["widest gap"] == "1 event, at 0 s"
    for figure in (plots.staleness(never), plots.heads(never)):
        assert figure.png().startswith(b"\x89PNG")


def test_cures_are_compared():
    shop_ = Scenario(*shop(views=("view", "other"), read_after_s=0.05, reads=2, read_s=0.001, write_read_s=0.05))
    found = cures(shop_, until_s=100, seed=1)
    assert list(found) == ["none", "wait", "write side", "sticky", "token"]
    assert found["none"].stale > found["none"].back > 0
    assert found["sticky"].back == 0 < found["sticky"].stale
    assert found["token"].stale == found["token"].back == 0 < found["token"].at_source < 1
    assert found["write side"].at_source == 1
    assert repr(found).startswith("Only write side and token keep both promises")
    assert found.figure().png().startswith(b"\x89PNG")
    with pytest.raises(BadScenario, match="expected one"):
        cures(Scenario(Log("orders")), until_s=1, seed=1)
    with pytest.raises(BadScenario, match="nothing was measured"):
        plots.cures({})
    assert math.isnan(staleness.met(written()).stale)


def test_the_whole_way_begins_with_the_wish():
    """A desk that takes a second is part of the way from the wish to the read model."""
    parts = (
        Publisher("web", to="wishes", rate=0.5, type="place.order"),
        Queue("wishes"),
        Consumer(
            "desk",
            of="wishes",
            members=10,
            service_s=1.0,
            on={"place.order": lambda event, ctx: ctx.emit("order.placed")},
            to="orders",
        ),
        Log("orders"),
        Projection("view", of="orders", service_s=0.001),
    )
    history = run(*parts, until_s=100)
    assert staleness.quantile_s(history, 0.5) == pytest.approx(0.001, abs=1e-6)
    assert staleness.whole_way_s(history, 0.5) == pytest.approx(1.001, abs=1e-6)
    assert math.isnan(staleness.whole_way_s(run(*parts, until_s=0.001), 0.5))
