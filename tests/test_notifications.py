"""User notifications: everybody is told once, in time and not at night, whatever the provider does."""

from __future__ import annotations

import math
import statistics

import pytest

import evsim as ev
from evsim import catalog
from evsim.lab.notify_steps import SENT, fan_out, morning_s, quiet, send_at_any_hour, wish_of
from evsim.lab.notifying import (
    RATE,
    capacity,
    messages,
    nobody_forgotten,
    one_post,
    quiet_nights,
    told,
    told_once,
    waits,
)

DAY = catalog.get("notifications")
KEYLESS = catalog.get("notifications-keyless")
LOST_REPLIES = ev.Drop("provider", "postman", share=0.05)
PROMISES = (told_once, quiet_nights, nobody_forgotten(12 * 3600))
NOON_S = 12 * 3600


def test_a_day_of_posts_keeps_every_promise():
    run = DAY.run(until_s=1.5 * 86_400, seed=7)
    assert [verdict.state for verdict in run.check(*PROMISES)] == ["ok"] * 3
    alerts = [each.after_s for each in told(run.history) if each.urgent]
    assert alerts
    assert max(alerts) < 10


@pytest.mark.parametrize(("n", "mean_s"), [(10, 0.5), (30, 2.0)])
def test_the_last_of_a_fan_out_comes_after_the_mean_times_the_harmonic_number(n, mean_s):
    """S10: n questions side by side, each exponential: the slowest takes m·H_n on average."""
    posts = ev.Scenario(
        ev.Publisher(
            "authors", to="posts", type="post.published", gap_s=ev.Constant(100.0), data={"followers": n}, count=700
        ),
        ev.Log("posts"),
        ev.Consumer("fanout", of="posts", on={"post.published": fan_out}, to="lines"),
        ev.Queue("lines"),
        ev.Consumer("hands", of="lines", on={"message.wanted": ask}, members=n),
        ev.Service("provider", service_s=ev.Exponential(mean_s), effect=SENT),
    )
    last = {}
    for each in told(posts.run(until_s=71_000, seed=3).history):
        last[each.post] = max(last.get(each.post, 0.0), each.after_s)
    wanted = mean_s * sum(1 / k for k in range(1, n + 1))
    assert len(last) == 700
    assert math.isclose(statistics.fmean(last.values()), wanted, rel_tol=0.03)


async def ask(event, ctx):
    await ctx.call("provider", {"user": event.key, "posts": [event.data["post"]], "type": event.type})


@pytest.mark.parametrize("followers", [1000, 4000])
def test_the_provider_is_the_bottleneck_of_a_large_fan_out(followers):
    """Time to the last user who wants a push: their number, divided by what is sent in a second."""
    run = one_post(DAY, followers).run(until_s=36_000 + 300, seed=1)
    pushes = waits(run.history)
    assert len(pushes) == 0.7 * followers
    assert max(pushes) == pytest.approx(len(pushes) / (0.75 * RATE), rel=0.03)


def test_without_a_limit_of_our_own_the_provider_refuses():
    hasty = DAY.replace("postman", rate_limit=None, members=100)
    refused = [_refused(one_post(each, 1000).run(until_s=36_300, seed=1)) for each in (DAY, hasty)]
    assert refused[0] == 0
    assert refused[1] > 100


def _refused(run):
    return len(run.history.of("refused", node="provider"))


@pytest.mark.parametrize(("scenario", "state"), [(DAY, "ok"), (KEYLESS, "VIOLATED")])
def test_lost_replies_double_messages_unless_they_have_a_key(scenario, state):
    run = one_post(scenario, 600).plus(LOST_REPLIES).run(until_s=36_300, seed=2)
    assert run.check(told_once)[0].state == state
    assert len({each.user for each in told(run.history)}) == 420


@pytest.mark.parametrize("part", ["fanout", "planner", "postman", "provider"])
@pytest.mark.parametrize("step", ["delivered", "saved", "sent"])
def test_a_crash_tells_nobody_twice_and_forgets_nobody(part, step):
    crash = ev.Crash(part, at_s=36_001, down_s=5) if part == "provider" else ev.Crash(part, after=step, nth=1, down_s=5)
    run = one_post(DAY, 100).plus(crash).run(until_s=36_000 + 7300, seed=3)
    assert len(run.history.of("crashed")) == 1
    assert [v.state for v in run.check(told_once, nobody_forgotten(7200))] == ["ok", "ok"]


def test_what_is_late_at_the_door_waits_for_the_morning():
    """A provider that is away in the evening would be asked again in the night; who looks at the door waits."""
    away = ev.Crash("provider", at_s=21.9 * 3600, down_s=1800)
    late = one_post(DAY, 100, 21.95 * 3600).plus(away)
    run = late.run(until_s=86_400 + 10 * 3600, seed=4)
    assert [verdict.state for verdict in run.check(*PROMISES)] == ["ok"] * 3
    careless = late.replace("postman", on={"send.news": send_at_any_hour, "send.alert": send_at_any_hour})
    assert careless.run(until_s=86_400 + 10 * 3600, seed=4).check(quiet_nights)[0].state == "VIOLATED"


def test_alerts_may_come_at_night_and_do_not_wait_behind_news():
    alert = one_post(DAY, 50, 2 * 3600, urgent=True).run(until_s=3 * 3600, seed=1)
    assert len(told(alert.history)) == 45
    assert max(waits(alert.history)) < 10


def test_a_digest_loses_nobody_and_costs_less():
    """What was published in the night comes in one message in the morning, and what goes by mail once an hour."""
    busy = DAY.replace("authors", rate=1 / 300)
    run = busy.run(until_s=10 * 3600, seed=5)
    assert [v.state for v in run.check(told_once, nobody_forgotten(8 * 3600))] == ["ok", "ok"]
    assert messages(run.history) < 0.8 * len(told(run.history))


def test_who_has_chosen_gets_what_they_have_chosen():
    wish = ev.Publisher(
        "user", to="wanted", type="preference.chosen", gap_s=ev.Constant(1.0), count=1, key="user-10",
        data={"wish": "push"},
    )  # fmt: skip
    run = one_post(DAY, 10).plus(wish).run(until_s=36_060, seed=1)
    assert wish_of("user-10") == "none"
    assert "user-10" in {each.user for each in told(run.history)}


def test_the_night_begins_at_ten_and_ends_at_seven():
    assert quiet(22 * 3600)
    assert not quiet(7 * 3600)
    assert morning_s(23 * 3600) == morning_s(86_400.0) == 31 * 3600
    assert morning_s(NOON_S) == NOON_S


def test_where_nobody_is_told_nothing_is_judged():
    states = [verdict.state for verdict in catalog.get("hello").run(until_s=5, seed=1).check(*PROMISES)]
    assert states == ["unknown"] * 3


def test_it_goes_into_a_file_and_back():
    assert ev.Scenario.from_yaml(DAY.to_yaml()) == DAY


def test_what_is_bought_decides_when_the_last_one_knows():
    for rate in (50.0, 400.0):
        run = one_post(capacity(DAY, rate), 1000).run(until_s=36_060, seed=1)
        assert max(waits(run.history)) == pytest.approx(700 / (0.75 * rate), rel=0.03)
        assert not _refused(run)
    with pytest.raises(ev.BadScenario, match="expected messages a second, more than 0"):
        capacity(DAY, 0)


def test_a_group_in_one_box_is_down_when_all_of_it_is():
    crashed = one_post(DAY, 10).plus(ev.Crash("postman", at_s=36_001.05, down_s=60)).run(until_s=36_010, seed=1)
    assert crashed.topology(from_s=36_000).claim == "postman has been down for 8.95 s"


def test_a_long_house_is_drawn_on_two_lines():
    """Ten columns abreast would leave no room for an arrow between two boxes."""
    figure = one_post(DAY, 10).run(until_s=36_010, seed=1).topology(from_s=36_000, to_s=36_010)
    assert figure.height > 400
    assert "planner to dispatch  0.7/s" in repr(figure)
    assert figure.png()
