"""Effects on replay: a handler that sends the mail while it rebuilds its state is noticed by a stock check."""

from __future__ import annotations

from accounts import ACCOUNT

import evsim as ev

MAILED = "mail sent"


async def pay(event, ctx):
    """Right: rebuild by pure functions, decide, append; and act on what is new, once it is stored."""
    seen = await ctx.read("bank", "account-7")
    ACCOUNT.state_of(each.event for each in seen)
    if not any(each.event.causation_id == event.id for each in seen):
        await ctx.append("bank", "account-7", ("money.paid", {"amount": 10}), expected=seen.version)
        ctx.effect(MAILED, key=event.id)


async def pay_and_mail_on_replay(event, ctx):
    """Wrong: to apply an event sends a mail, and rebuilding applies them all, again and again."""
    seen = await ctx.read("bank", "account-7")
    balance = 0
    for each in seen:
        balance += each.event.data["amount"]
        ctx.effect(MAILED, key=each.event.causation_id)
    if not any(each.event.causation_id == event.id for each in seen):
        await ctx.append("bank", "account-7", ("money.paid", {"amount": 10}), expected=seen.version)


def shop(handler):
    return ev.Scenario(
        ev.Publisher("till", to="wishes", type="pay.money", rate=2, count=6),
        ev.Queue("wishes"),
        ev.EventStore("bank", append_s=0.002, read_s=0.001),
        ev.Consumer("teller", of="wishes", on={"pay.money": handler}),
    )


def test_the_mail_is_sent_once_by_the_right_one_and_again_at_each_replay_by_the_wrong_one():
    promise = ev.at_most_once(MAILED)
    right, wrong = (shop(each).run(until_s=20, seed=7).check(promise)[0] for each in (pay, pay_and_mail_on_replay))
    assert right.state == "ok"
    assert wrong.state == "VIOLATED"
    assert "till." in str(wrong)
