"""One account, written as two tables of functions and as a class: the tests hold them to be the same."""

from __future__ import annotations

from evsim.patterns.aggregate import Aggregate, Decider
from evsim.patterns.handler import Reject


def _open(state, data):
    if state["owner"] is not None:
        raise Reject("it is open already")
    return [("account.opened", {"owner": data["owner"], "limit": 0})]


def _pay(state, data):
    return [("money.paid", {"amount": data["amount"]})]


def _withdraw(state, data):
    if state["balance"] - data["amount"] < -state["limit"]:
        raise Reject("there is not enough")
    events = [("money.withdrawn", {"amount": data["amount"]})]
    if state["balance"] - data["amount"] < 0:
        events.append(("account.overdrawn", {}))
    return events


ACCOUNT = Decider(
    "account",
    {"owner": None, "balance": 0, "limit": 0, "overdrawn": 0},
    decide={"open.account": _open, "pay.money": _pay, "withdraw.money": _withdraw},
    apply={
        "account.opened": lambda state, data: state | {"owner": data["owner"], "limit": data["limit"]},
        "money.paid": lambda state, data: state | {"balance": state["balance"] + data["amount"]},
        "money.withdrawn": lambda state, data: state | {"balance": state["balance"] - data["amount"]},
        "account.overdrawn": lambda state, data: state | {"overdrawn": state["overdrawn"] + 1},
    },
)


class Account(Aggregate):
    """The same as a class."""

    def __init__(self):
        super().__init__()
        self.owner, self.balance, self.limit, self.overdrawn = None, 0, 0, 0

    def open_account(self, owner):
        if self.owner is not None:
            raise Reject("it is open already")
        self.emit("account.opened", owner=owner, limit=0)

    def when_account_opened(self, owner, limit):
        self.owner, self.limit = owner, limit

    def pay_money(self, amount):
        self.emit("money.paid", amount=amount)

    def when_money_paid(self, amount):
        self.balance += amount

    def withdraw_money(self, amount):
        if self.balance - amount < -self.limit:
            raise Reject("there is not enough")
        self.emit("money.withdrawn", amount=amount)
        if self.balance < 0:
            self.emit("account.overdrawn")

    def when_money_withdrawn(self, amount):
        self.balance -= amount

    def when_account_overdrawn(self):
        self.overdrawn += 1
