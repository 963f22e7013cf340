"""The judges of notebook 21 let good answers pass and say what is wrong with others."""

from __future__ import annotations

import pytest

from evsim import classroom
from evsim.lab.notify_steps import quiet, send, send_at_any_hour, send_without_key


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        (lambda followers, within_s: 0.99 * 0.7 * followers / (0.75 * within_s), ""),
        (lambda followers, within_s: 0.7 * followers / within_s, "99 of 100 are with it after"),
        (lambda followers, within_s: followers / (0.75 * within_s), "is dearer than needed"),
        (lambda followers, within_s: None, "it gave None"),
        (lambda followers, within_s: 0, "it gave 0"),
    ],
    ids=["right", "all of it", "everybody", "nothing", "zero"],
)
def test_what_is_bought_is_enough_and_no_more(answer, saw):
    outcome = classroom.check("21.1", answer)
    assert outcome.state == ("broken" if saw else "held"), outcome
    assert saw in outcome.saw


async def drops(event, ctx):
    if event.type == "send.alert" or not quiet(ctx.now + 60):
        await send(event, ctx)


async def lets_alerts_wait(event, ctx):
    if quiet(ctx.now + 60):
        ctx.emit("message.deferred", {"posts": event.data["posts"], "channel": event.data["channel"]})
    else:
        await send(event, ctx)


async def says_too_little(event, ctx):
    await ctx.call("provider", {"idempotency_key": event.id})


async def writes_wrongly(event, ctx):
    await ctx.call("provider", {"user": event.data["usr"]})


def does_nothing(event, ctx):
    pass


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        (send, ""),
        (send_without_key, "at 36001.5 s and 36001.7 s"),
        (send_at_any_hour, "messages in the night: "),
        (drops, "in the evening: user-3 was not told"),
        (lets_alerts_wait, "an alert in the night: user-1 was not told"),
        (says_too_little, "was not told of authors.1"),
        (writes_wrongly, "KeyError: 'usr'"),
        (does_nothing, "was not told of authors.1"),
    ],
)
def test_a_message_is_sent_once_and_not_at_night(answer, saw):
    outcome = classroom.check("21.2", answer)
    assert outcome.state == ("broken" if saw else "held"), outcome
    assert saw in outcome.saw
