"""The table crash step × remedy: as it must come out, on every seed, and for shops that are not ours."""

from __future__ import annotations

import pytest

import evsim as ev
from evsim import BadScenario, UnknownName
from evsim.lab.crash_table import STEPS, crash_table


def charge(event, ctx):
    ctx.effect("card charged")
    ctx.state[event.key] = "paid"
    ctx.emit("order.paid")


def ship(event, ctx):
    ctx.effect("parcel sent")
    ctx.emit("parcel.sent")


SHOP = ev.Scenario(
    ev.Publisher("shop", to="bus", rate=2, count=4),
    ev.Log("bus"),
    ev.Consumer("payment", of="bus", on={"order.placed": charge}, service_s=ev.Exponential(0.05)),
    ev.Consumer("shipping", of="bus", on={"order.paid": ship}, inbox=True, outbox=True, service_s=ev.Exponential(0.05)),
    name="shop",
)
PROMISES = (
    ev.at_most_once("card charged"),
    ev.at_most_once("parcel sent"),
    ev.every("order.placed").ends_in("parcel.sent"),
)
EXPECTED = {
    "nothing": ["···", "X··", "X··", "XX·", "···"],
    "inbox": ["···", "X··", "··X", "···", "···"],
    "outbox": ["···", "X··", "XX·", "XX·", "···"],
    "inbox + outbox": ["···", "X··", "···", "···", "···"],
}


def test_the_table_comes_out_on_every_seed():
    table = crash_table(SHOP, "payment", PROMISES, seeds=range(1, 21))
    assert table.rows == EXPECTED
    assert table.is_certain


def test_a_cell_can_be_looked_at():
    table = crash_table(SHOP, "payment", PROMISES, seeds=[3, 4])
    assert table["inbox", "saved"] == "··X"
    unlucky = table.run("nothing", "sent")
    assert unlucky.check(*PROMISES)[0].state == "VIOLATED"
    assert "crashed" in unlucky.story("order-2")
    with pytest.raises(UnknownName, match="did you mean 'saved'"):
        table.run("inbox", "save")


def test_the_words_and_the_picture_say_the_same():
    table = crash_table(SHOP, "payment", PROMISES, seeds=[1])
    assert "inbox + outbox  · · ·       X · ·" in repr(table)
    figure = table.figure()
    assert figure.facts["inbox"] == "delivered ···, handled X··, saved ··X, sent ···, acked ···"
    assert figure.claim == "With inbox + outbox, payment breaks something at 1 of 5 steps; at worst at 3"
    assert figure.png("light") != figure.png("dark")


def test_any_shop_any_remedy_and_any_steps():
    """A queue, a part with another name, a remedy that is another scenario: an effect with an idempotency key."""

    def mail(event, ctx):
        ctx.effect("mail sent", key=event.id)

    def mail_once(event, ctx):
        if event.id not in ctx.state:
            ctx.state[event.id] = True
            ctx.effect("mail sent", key=event.id)

    house = ev.Scenario(
        ev.Publisher("app", to="mails", type="user.joined", rate=1, count=3),
        ev.Queue("mails"),
        ev.Consumer("mailer", of="mails", on={"user.joined": mail}),
    )
    table = crash_table(
        house, "mailer", [ev.at_most_once("mail sent")], steps=("handled", "saved"), seeds=[1, 2], nth=1,
        remedies={"as it is": {}, "state": {"on": {"user.joined": mail_once}},
                  "ack first": lambda shop: shop.replace("mailer", commit="before")},
    )  # fmt: skip
    assert table.rows == {"as it is": ["X", "X"], "state": ["X", "·"], "ack first": ["·", "·"]}


def test_what_is_not_the_same_on_every_seed_is_marked():
    moody = crash_table(SHOP, "payment", [lambda history: history.meta["seed"] % 2 == 0], seeds=[1, 2], steps=["acked"])
    assert moody["nothing", "acked"] == "~"
    assert not moody.is_certain


def test_a_crash_that_never_comes_is_no_proof():
    with pytest.raises(BadScenario, match="never crashed after 'delivered'"):
        crash_table(SHOP, "payment", PROMISES, nth=99, seeds=[1])
    with pytest.raises(BadScenario, match="at least one promise"):
        crash_table(SHOP, "payment", [])
    with pytest.raises(UnknownName, match="did you mean 'handled'"):
        crash_table(SHOP, "payment", PROMISES, steps=["handeld"])
    with pytest.raises(UnknownName, match="did you mean 'payment'"):
        crash_table(SHOP, "paymnt", PROMISES)


def test_the_steps_are_the_five():
    assert STEPS == ("delivered", "handled", "saved", "sent", "acked")
