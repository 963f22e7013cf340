"""Commands are checked before they are handled, and by exactly one."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import BaseModel, Field, field_validator

from evsim import Consumer, Crash, Decider, Duplicate, Event, Publisher, Queue, Scenario, store
from evsim.errors import BadEvent, BadScenario, UnknownName
from evsim.patterns.commands import CommandBus
from evsim.patterns.handler import Reject


class WithdrawMoney(BaseModel):
    account: str
    amount: int = Field(gt=0)


class DepositMoney(BaseModel):
    account: str
    amount: int = Field(gt=0)


class CloseAccount(BaseModel):
    account: str


def withdraw(balance, data):
    if balance < data["amount"]:
        raise Reject(f"only {balance} there")
    return [("money.withdrawn", {"amount": data["amount"]})]


ACCOUNT = Decider(
    "account",
    0,
    decide={
        "withdraw.money": withdraw,
        "deposit.money": lambda _, data: [("money.deposited", {"amount": data["amount"]})],
    },
    apply={
        "money.withdrawn": lambda balance, data: balance - data["amount"],
        "money.deposited": lambda balance, data: balance + data["amount"],
    },
)


def bank():
    kept = store.open()
    accounts, bus = store.Repository(kept, ACCOUNT), CommandBus()
    bus.route("withdraw.money", WithdrawMoney, to=accounts, by="account")
    bus.route("deposit.money", DepositMoney, to=accounts, by="account")
    return kept, accounts, bus


def wish(number, kind, **data):
    return Event(f"wish.{number}", kind, float(number), "atm", data)


def test_a_command_goes_to_the_aggregate_that_it_names():
    kept, accounts, bus = bank()
    bus.send(wish(1, "deposit.money", account="7", amount=50))
    done = bus.send(wish(2, "withdraw.money", account="7", amount=20))
    assert (done.state, done.version, accounts.load("7").state) == (30, 1, 30)
    assert [each.event.type for each in kept.read("account-7")] == ["money.deposited", "money.withdrawn"]


def test_a_command_that_comes_again_changes_nothing():
    kept, accounts, bus = bank()
    for _ in range(3):
        done = bus.send(wish(1, "deposit.money", account="7", amount=50))
    assert done.again
    assert (accounts.load("7").state, kept.position) == (50, 1)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"account": "7", "amount": 0}, "amount"),
        ({"account": "7"}, "amount"),
        ({"account": "7", "amount": "much"}, "amount"),
        ({"account": "7", "amount": "50"}, "amount='50' is refused; expected a whole number"),
        ({"account": "7", "amount": True}, "amount"),
        ({"account": "7", "amount": 50.0}, "amount"),
        ({"account": 7, "amount": 50}, "account"),
    ],
)
def test_a_command_that_breaks_its_model_is_refused_in_one_sentence(data, word):
    kept, _, bus = bank()
    with pytest.raises(BadEvent, match=word) as refused:
        bus.send(wish(1, "withdraw.money", **data))
    assert "\n" not in str(refused.value)
    assert "WithdrawMoney" in str(refused.value)
    assert kept.position == 0


def test_a_bad_command_does_not_spoil_the_aggregate_for_those_that_come_later():
    kept, accounts, bus = bank()
    with pytest.raises(BadEvent, match="amount"):
        bus.send(wish(1, "deposit.money", account="7", amount="50"))
    bus.send(wish(2, "deposit.money", account="7", amount=50))
    assert (kept.position, accounts.load("7").state) == (1, 50)


class Renew(BaseModel):
    account: str
    until: date = Field(alias="untilDay")
    fee: int = 3


def test_a_decider_gets_what_the_model_made_of_the_data():
    """Defaults are there, a day has one spelling, aliases keep their names, and the envelope stays."""
    seen, bus = [], CommandBus()
    bus.register("renew.account", Renew, lambda command, event: seen.append((command.until, event)))
    sent = Event(
        "wish.1", "renew.account", 4.0, "atm", {"account": "7", "untilDay": "2026-03-01"},
        version=2, key="7", correlation_id="talk", causation_id="click",
    )  # fmt: skip
    bus.send(sent)
    [(until, event)] = seen
    assert until == date(2026, 3, 1)
    assert event.to_dict() == sent.to_dict() | {"data": {"account": "7", "untilDay": "2026-03-01", "fee": 3}}


def test_an_object_of_a_model_with_aliases_is_a_command_too():
    seen, bus = [], CommandBus()
    bus.register("renew.account", Renew, lambda command, _: seen.append(command))
    made = Renew(account="7", untilDay=date(2026, 3, 1))
    bus.send(bus.event(made, "wish.1"))
    assert seen == [made]


def test_a_validator_that_fails_is_said_in_one_sentence():
    class Pay(BaseModel):
        currency: str

        @field_validator("currency")
        @classmethod
        def known(cls, currency: str) -> str:
            return {"eur": "€"}[currency]

    bus = CommandBus()
    bus.register("pay.bill", Pay, print)
    with pytest.raises(BadEvent, match=r"Pay cannot check .*KeyError\('chf'\); let it raise ValueError") as refused:
        bus.send(wish(1, "pay.bill", currency="chf"))
    assert "\n" not in str(refused.value)


def test_an_unknown_command_names_the_one_probably_meant():
    _, _, bus = bank()
    with pytest.raises(UnknownName, match=r"did you mean 'withdraw\.money'"):
        bus.send(wish(1, "withdraw.many", account="7", amount=1))


def test_a_second_handler_is_refused():
    *_, bus = bank()
    with pytest.raises(BadScenario, match="handled by the repository") as refused:
        bus.register("withdraw.money", WithdrawMoney, print)
    assert "\n" not in str(refused.value)
    assert bus.types == ("withdraw.money", "deposit.money")


def test_a_refused_wish_leaves_the_store_alone():
    kept, _, bus = bank()
    with pytest.raises(Reject):
        bus.send(wish(1, "withdraw.money", account="7", amount=1))
    assert kept.position == 0


def test_an_object_of_the_model_is_a_command_too():
    _, accounts, bus = bank()
    bus.send(bus.event(DepositMoney(account="7", amount=5), "wish.1"))
    assert accounts.load("7").state == 5
    with pytest.raises(UnknownName, match="CloseAccount"):
        bus.event(CloseAccount(account="7"), "wish.2")


def test_a_plain_function_handles_as_well():
    bus, seen = CommandBus(), []

    @bus.handles("deposit.money", DepositMoney)
    def note(command, event):
        seen.append((command.amount, event.id))
        return "noted"

    assert bus.send(wish(1, "deposit.money", account="7", amount=5)) == "noted"
    assert seen == [(5, "wish.1")]


@pytest.mark.parametrize(
    ("how", "word"),
    [
        (lambda bus: bus.register("money.deposited", DepositMoney, print), "no command"),
        (lambda bus: bus.register(3, DepositMoney, print), "3 is no command"),
        (lambda bus: bus.register("give.money", dict, print), "no pydantic model"),
        (lambda bus: bus.register("close.account", CloseAccount, "print"), "cannot handle"),
        (lambda bus: bus.register("give.money", DepositMoney, print), "stands for"),
        (lambda bus: bus.route("give.money", WithdrawMoney, to=None, by="acount"), "did you mean 'account'"),
    ],
)
def test_mistakes_are_said_in_one_sentence(how, word):
    _, _, bus = bank()
    with pytest.raises(BadScenario, match=word) as refused:
        how(bus)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "given", [3, None, "deposit.money", {"type": "deposit.money"}, DepositMoney(account="7", amount=1)]
)
def test_only_events_are_sent(given):
    kept, _, bus = bank()
    with pytest.raises(BadEvent, match="no command"):
        bus.send(given)
    assert kept.position == 0


def test_it_works_inside_a_handler():
    """Wishes come over a queue, at least once, some of them senseless; a machine dies; each good one is taken once."""
    kept, accounts, bus = bank()

    def handle(event, ctx):
        try:
            done = bus.send(event)
        except BadEvent as problem:
            raise Reject(str(problem)) from None
        ctx.effect("decided", version=done.version, again=done.again)

    run = Scenario(
        Publisher("atm", to="wishes", rate=5, type="deposit.money", data={"account": "7", "amount": 3}),
        Publisher("prank", to="wishes", rate=1, type="deposit.money", data={"account": "7", "amount": -3}),
        Queue("wishes"),
        Queue("refused"),
        Consumer("bank", of="wishes", on={"deposit.money": handle}, members=2, service_s=0.05, dead_letter="refused"),
        Crash("bank", after="handled", nth=9, down_s=2),
        Duplicate("atm", "wishes", share=0.2),
    ).run(until_s=30, seed=4)
    decided = [note for note in run.history.notes if "version" in note]
    good = list(run.history.of("published", node="atm"))
    assert len(good) > 100
    assert kept.position == len({each.event.id for each in kept.read_all()}) == accounts.load("7").state / 3
    assert any(note["again"] for note in decided)
    assert len(run.history.of("dead_lettered")) > 10
    assert not [each for each in kept.read_all() if each.event.data["amount"] < 0]
    assert len(good) - 5 <= kept.position <= len(good)
