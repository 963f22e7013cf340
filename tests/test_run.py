"""A run is repeated, cut into pieces, interrupted and watched, and always the same history comes of the same seed."""

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evsim as ev
from evsim.lab import progress
from evsim.lab.catalog import CATALOG, CHAIN, HELLO, OUTAGE, PAYMENT
from evsim.lab.replicate import replicate
from evsim.lab.run import Run

WHOLE = HELLO.run(until_s=20, seed=7)


def press_ctrl_c(after_s):
    """What a person does."""
    timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


class TestARun:
    def test_the_same_seed_gives_the_same_run_and_another_seed_another(self):
        assert HELLO.run(until_s=20, seed=7).digest() == WHOLE.digest()
        assert HELLO.run(until_s=20, seed=8).digest() != WHOLE.digest()

    def test_the_history_knows_what_it_is_the_history_of(self):
        meta = WHOLE.history.meta
        assert (meta["scenario"], meta["seed"], meta["until_s"]) == ("hello", 7, 20.0)
        assert meta["scenario_digest"] == HELLO.digest()
        assert not meta["interrupted"]
        assert [record.step for record in WHOLE.history.of(("started", "stopped"))] == ["started", "stopped"]

    def test_the_summary_has_the_names_of_the_design(self):
        names = {
            "published", "acked", "throughput", "latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s",
            "backlog_max", "lag_max_s", "utilisation", "redelivered", "duplicates", "lost", "dead_lettered", "expired",
        }  # fmt: skip
        assert names <= set(WHOLE.summary())
        assert WHOLE.summary("billing")["published"] == WHOLE.summary()["published"]
        assert "latency_p99_s" in repr(WHOLE.summary())

    def test_it_shows_what_it_is_its_size_and_its_headlines(self):
        lines = repr(WHOLE).splitlines()
        assert lines[0].startswith("Run       hello  seed 7  20 s  ")
        assert "fingerprint" in lines[0]
        assert max(map(len, lines)) <= 80
        assert repr(WHOLE) == repr(HELLO.run(until_s=20, seed=7))
        html = WHOLE._repr_html_()
        assert "<table>" in html
        assert "style" not in html
        assert "throughput" in html

    def test_html_is_escaped(self):
        assert "<b>" not in HELLO.called("<b>").run(until_s=1, seed=1)._repr_html_()

    def test_a_history_that_breaks_littles_law_is_flagged(self):
        history = ev.History()
        history.parts.update(WHOLE.history.parts)
        event = history.add(ev.Event("shop.1", "order.placed", 0.0, "shop", {}))
        for time_s, words in (
            (0.0, ("started", "run")),
            (1.0, ("published", "shop", "orders")),
            (1.0, ("stored", "orders", "orders/0")),
            (2.0, ("delivered", "billing", "orders/0")),
            (0.5, ("handled", "billing", "orders/0")),
            (3.0, ("stopped", "run")),
        ):
            history.record(time_s, history.code(*words), event if len(words) > 2 else -1, 0)
        assert "Little's law is broken" in repr(Run(HELLO, 7, 3.0, history))
        assert "Little's law" not in repr(WHOLE)

    def test_the_words_of_a_run_are_shown_as_they_are(self):
        story = WHOLE.story("order-3")
        assert repr(story) == str(story) == WHOLE.history.story("order-3")
        with pytest.raises(ev.UnknownName):
            WHOLE.story("order-99999")

    def test_verdicts_stand_below_each_other(self):
        verdicts = WHOLE.check(ev.nothing_lost(), ev.every("order.placed").ends)
        assert [verdict.state for verdict in verdicts] == ["ok", "ok"]
        assert verdicts.hold
        assert not WHOLE.check(ev.at_most_once("card charged")).hold
        assert repr(verdicts) == "\n".join(map(str, verdicts))

    def test_it_can_be_kept(self, tmp_path):
        path = WHOLE.save(tmp_path / "a.evsim")
        assert ev.History.load(path).digest() == WHOLE.digest()

    @pytest.mark.parametrize("until_s", [0, -1, float("inf"), float("nan"), "60", None, True])
    def test_an_end_that_cannot_be_is_refused(self, until_s):
        with pytest.raises(ev.BadScenario, match="until_s="):
            HELLO.run(until_s=until_s, seed=7)

    @pytest.mark.parametrize("seed", [-1, 1.5, "7", None, 2**64])
    def test_a_seed_that_cannot_be_is_refused(self, seed):
        with pytest.raises(ev.BadScenario, match="seed="):
            HELLO.run(until_s=1, seed=seed)

    def test_an_unrelated_part_changes_nothing_for_the_others(self):
        more = HELLO.plus(
            ev.Publisher("bank", to="ledger", rate=9), ev.Log("ledger"), ev.Consumer("audit", of="ledger")
        )
        ours = [list(run.history.of(node="billing")) for run in (WHOLE, more.run(until_s=20, seed=7))]
        assert ours[0] == ours[1]

    def test_a_function_is_a_part(self):
        ticks = []

        def clock(world):
            while True:
                yield world.timeout(1)
                ticks.append(world.now)

        HELLO.plus(clock).run(until_s=3.5, seed=7)
        assert ticks == [1, 2, 3]


# ---------------------------------------------------------------- pieces


@given(
    st.lists(st.one_of(st.floats(0.01, 15), st.just(None)), max_size=8),
    st.sampled_from([HELLO, PAYMENT, OUTAGE, CHAIN]),
)
@settings(max_examples=25, deadline=None)
def test_however_a_run_is_cut_its_history_is_the_same(cuts, scenario):
    """Each number is a pause at that time, each None a single step."""
    whole = scenario.start(seed=7).run_until(20).finish()
    session = scenario.start(seed=7)
    for cut in sorted(cut for cut in cuts if cut is not None):
        session.run_until(max(cut, session.now))
    for _ in range(cuts.count(None)):
        session.step()
    assert session.finish(until_s=20).digest() == whole.digest()


def test_a_session_shows_where_it_is_and_ends_once():
    session = HELLO.start(seed=7)
    assert session.run_until(5).now == 5
    assert "hello  seed 7  under way at 5 s" in repr(session)
    assert session.history.of("published", to_s=5).rows.size
    with pytest.raises(ev.BadScenario, match="in the past"):
        session.run_until(3)
    run = session.finish()
    assert run.until_s == 5
    assert run.digest() == HELLO.run(until_s=5, seed=7).digest()
    for late in (session.step, session.finish, lambda: session.run_until(9)):
        with pytest.raises(ev.BadScenario, match="finished"):
            late()


def test_where_nothing_more_happens_a_step_does_nothing():
    session = ev.Scenario(ev.Log("orders")).start(seed=1)
    assert session.step() == 0.0


# ---------------------------------------------------------------- interrupted


class TestInterrupted:
    def test_ctrl_c_keeps_the_history_so_far(self):
        press_ctrl_c(0.2)
        run = HELLO.run(until_s=10_000_000, seed=7)
        assert run.interrupted
        assert 0 < run.interrupted_at < run.until_s
        assert run.history.meta["interrupted"]
        assert "stopped from the keyboard at" in repr(run)
        assert [record.step for record in run.history.of(("started", "stopped"))] == ["started", "stopped"]
        assert run.token.endswith("~partial")
        early = min(run.interrupted_at, 20)
        begun = HELLO.run(until_s=early, seed=7).history.of("published", to_s=early)
        assert list(begun) == list(run.history.of("published", to_s=early))

    def test_a_session_goes_on_after_ctrl_c(self):
        session = HELLO.start(seed=7)
        press_ctrl_c(0.2)
        session.run_until(10_000_000)
        stopped = session.now
        assert stopped < 10_000_000
        run = session.finish(until_s=stopped + 10)
        assert not run.interrupted
        assert run.digest() == HELLO.run(until_s=stopped + 10, seed=7).digest()

    def test_a_second_ctrl_c_ends_what_does_not_end(self):
        def stuck(world):
            yield world.timeout(1)
            while True:
                time.sleep(0.01)

        timers = [press_ctrl_c(0.2), press_ctrl_c(0.4)]
        with pytest.raises(KeyboardInterrupt):
            HELLO.plus(stuck).run(until_s=60, seed=7)
        for timer in timers:
            timer.join()

    def test_what_ctrl_c_meant_before_it_means_again(self):
        before = signal.getsignal(signal.SIGINT)
        HELLO.run(until_s=1, seed=7)
        assert signal.getsignal(signal.SIGINT) is before

    def test_other_threads_run_too(self):
        with ThreadPoolExecutor(2) as threads:
            runs = list(threads.map(lambda seed: HELLO.run(until_s=20, seed=seed), (7, 7)))
        assert {run.digest() for run in runs} == {WHOLE.digest()}


# ---------------------------------------------------------------- watched


class Bar:
    """Stands in for a bar, and remembers."""

    def __init__(self, total_s):
        self.total_s, self.n, self.looks, self.closed = total_s, 0.0, 0, False

    def update(self, more):
        self.n += more
        self.looks += 1

    def close(self):
        self.closed = True


class TestWatched:
    def test_the_history_does_not_know_that_somebody_watches(self, monkeypatch):
        bars = []
        monkeypatch.setattr(progress, "_bar", lambda total_s: bars.append(Bar(total_s)) or bars[-1])
        for scenario in CATALOG.values():
            plain, watched = (scenario.start(7).run_until(20, progress=shown).finish() for shown in (False, True))
            assert plain.digest() == watched.digest()
        assert all(bar.closed and 190 <= bar.looks <= 200 and 19 <= bar.n <= 20 for bar in bars)
        assert len(bars) == len(CATALOG)

    def test_a_short_run_shows_nothing(self, capsys):
        HELLO.run(until_s=1, seed=7, progress=True)
        assert capsys.readouterr().out.strip() == ""

    def test_a_long_run_shows_a_bar_and_wipes_it_away(self, capsys, monkeypatch):
        monkeypatch.setattr(progress, "PATIENCE_S", 0.0)

        def slow(world):
            while True:
                yield world.timeout(1)
                time.sleep(0.02)

        HELLO.plus(slow).run(until_s=20, seed=7, progress=True)
        out = capsys.readouterr().out
        assert "of 20 s simulated" in out
        assert out.rsplit("\r", 1)[0].rsplit("\r", 1)[-1].strip() == ""

    def test_only_when_somebody_is_there_and_wants_it(self, monkeypatch):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.delenv("EVSIM_PROGRESS", raising=False)
        assert progress.somebody_watches()
        monkeypatch.setenv("EVSIM_PROGRESS", "off")
        assert not progress.somebody_watches()


# ---------------------------------------------------------------- many seeds


class TestReplications:
    many = HELLO.replicate(4, until_s=20)

    def test_each_seed_has_its_summary(self):
        assert self.many.seeds == [1, 2, 3, 4]
        assert self.many.summaries[2] == HELLO.run(until_s=20, seed=2).summary()
        assert HELLO.replicate(2, until_s=20, first_seed=3).seeds == [3, 4]

    def test_an_interval_holds_its_mean(self):
        interval = self.many.interval("latency_mean_s")
        values = self.many.values("latency_mean_s")
        assert interval.mean == pytest.approx(sum(values) / 4)
        assert interval.low < interval.mean < interval.high
        assert interval.mean in interval
        assert interval.high + 1 not in interval
        assert "95 %" in repr(interval) or "95%" in repr(interval)
        assert self.many.interval("latency_mean_s", level=0.99).half_width > interval.half_width

    def test_an_executor_gives_the_same(self):
        with ThreadPoolExecutor(2) as threads:
            assert HELLO.replicate(4, until_s=20, executor=threads).summaries == self.many.summaries

    def test_it_shows_a_small_table(self):
        lines = repr(self.many).splitlines()
        assert lines[0] == "hello  20 s  seeds 1 to 4"
        assert any(line.strip().startswith("latency_mean_s") for line in lines)
        assert max(map(len, lines)) <= 80
        assert "unknown" in repr(HELLO.replicate(1, until_s=20))

    def test_what_is_not_measured_is_answered_with_the_nearest(self):
        with pytest.raises(ev.UnknownName, match="did you mean 'latency_mean_s'"):
            self.many.interval("latency_mean")
        for n in (0, -1, 2.0, True):
            with pytest.raises(ev.BadScenario, match="n="):
                HELLO.replicate(n, until_s=20)

    def test_ctrl_c_keeps_the_seeds_that_are_done(self):
        press_ctrl_c(0.4)
        some = replicate(HELLO, 1_000_000, 5)
        assert some.interrupted
        assert 0 < len(some) < 1_000_000
        assert "stopped from the keyboard" in repr(some)


# ---------------------------------------------------------------- against theory


@pytest.mark.slow
def test_the_first_shop_is_an_m_m_1_queue():
    """Mean within 3 % and p99 within 5 % of the formula, over 20 seeds long enough for that."""
    many = HELLO.replicate(20, until_s=6000)
    rate = 1 / 0.03 - 20
    assert many.interval("latency_mean_s").mean == pytest.approx(1 / rate, rel=0.03)
    assert many.interval("latency_p99_s").mean == pytest.approx(4.60517 / rate, rel=0.05)
