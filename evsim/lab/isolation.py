"""Buyers who want the same few things at once: what sagas do to each other, and the cures.

A buyer's saga looks at the stock, takes one, charges the card, and settles. Between its steps others see the middle of
it. The cures are those of C. Richardson, *Microservices Patterns*, ch. 4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from evsim.event import Event
from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.laws import Choice, Duration, Exponential, Uniform
from evsim.patterns.handler import Context
from evsim.patterns.participant import TryAgain, participant
from evsim.patterns.saga import Plan, Step
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher
from evsim.sim.saga import Saga

Cure = Literal["none", "commutative update", "version check", "reread", "by value", "semantic lock"]
CURES: tuple[Cure, ...] = get_args(Cure)

LOOK = Step("look_at.stock", undo="leave.stock", done="stock.seen", undone="stock.left", retries=400, wait_s=0.05)
TAKE = Step("take.stock", undo="return.stock", done="stock.taken", undone="stock.returned")
CHARGE = Step("charge.card", undo="refund.card")
SETTLE = Step("settle.stock", done="stock.settled", pivot=True)
PLAN = Plan("order.placed", (LOOK, TAKE, CHARGE, SETTLE))

Lock = Callable[[dict[str, Any], str | None], bool]
"""A lock of one's own: whether the buyer of this key may go on, and if so the item is marked (``item["lock"]``)."""

STOCK, PRICE, DEAR = 20, 10, 100
_SERVICE = Exponential(0.01)


class Stock:
    """The handlers of a stock, with one cure: three of the four steps of a buyer, and a price that changes."""

    def __init__(self, cure: Cure = "none", level: int = STOCK, lock: Lock | None = None) -> None:
        self.cure, self.level, self.lock = cure, level, lock

    @property
    def handlers(self) -> Mapping[str, Any]:
        """What a consumer needs."""
        look = participant(LOOK, act=self.look, undo_act=self.leave)
        take = participant(TAKE, act=self.take, undo_act=self.give_back)
        settle = participant(SETTLE, act=self.settle)
        return {**look, **take, **settle, "price.raised": self.reprice}

    def _item(self, ctx: Context) -> dict[str, Any]:
        fresh = {"level": self.level, "version": 0, "price": PRICE, "lock": None}
        return dict(ctx.state.setdefault("item", fresh))

    def _locks(self, event: Event) -> bool:
        """With a cure by value only dear orders take the lock; the others run the risk."""
        return self.cure == "semantic lock" or (self.cure == "by value" and event.data.get("amount", 0) >= DEAR)

    def look(self, event: Event, ctx: Context) -> Any:
        """What there is; with a semantic lock, it is marked as being dealt with until the saga has ended."""
        item = self._item(ctx)
        if self.lock is not None and not self.lock(item, event.key):
            return TryAgain("somebody is at it")
        if self._locks(event):
            if item["lock"] not in {None, event.key}:
                return TryAgain("somebody is at it")
            item["lock"] = event.key
        if item["level"] <= 0:
            return "sold out"
        ctx.state["item"] = item
        return {name: item[name] for name in ("level", "version", "price")}

    def take(self, event: Event, ctx: Context) -> Any:
        """Take one away, as the cure has it."""
        item, seen = self._item(ctx), event.data
        changed = {"version check": item["version"] != seen["version"],
                   "reread": (item["level"], item["price"]) != (seen["level"], seen["price"])}  # fmt: skip
        if changed.get(self.cure):
            return "changed meanwhile"
        if self.cure == "commutative update" and item["level"] <= 0:
            return "sold out"
        item["level"] = (item["level"] if self.cure == "commutative update" else seen["level"]) - 1
        item["version"] += 1
        ctx.state["item"] = item
        return {"price_now": item["price"]}

    def give_back(self, event: Event, ctx: Context) -> None:
        """The undo of a take; the naive one writes back what it saw at the beginning."""
        item = self._item(ctx)
        item["level"] = event.data["level"] if self.cure in {"none", "by value"} else item["level"] + 1
        item["version"] += 1
        ctx.state["item"] = item

    def settle(self, event: Event, ctx: Context) -> None:
        """Sold for good; who pays another price than the one at which it was taken has read what was not fixed."""
        said = event.data
        ctx.effect("sold", paid=said["price"], price=said["price_now"], amount=said.get("amount", 0))
        self._unlock(event, ctx)

    def leave(self, event: Event, ctx: Context) -> None:
        """The undo of a look."""
        self._unlock(event, ctx)

    def _unlock(self, event: Event, ctx: Context) -> None:
        item = self._item(ctx)
        if item["lock"] == event.key:
            item["lock"] = None
            item["price"] += ctx.state.pop("price waits", 0)
        ctx.state["item"] = item

    def reprice(self, event: Event, ctx: Context) -> None:
        """The price goes up by one; not while somebody holds the lock."""
        item = self._item(ctx)
        if item["lock"] is not None:
            ctx.state["price waits"] = ctx.state.get("price waits", 0) + 1
        else:
            item["price"] += 1
            item["version"] += 1
        ctx.state["item"] = item


def buyers(
    cure: Cure = "none", *, count: int = 40, stock: int = STOCK, rate: float = 20.0, refuses: float = 0.3,
    service_s: Duration = _SERVICE, lock: Lock | None = None,
) -> Scenario:  # fmt: skip
    """So many buyers of one thing, of which there are fewer; the card of some is refused. Prices go up meanwhile.

    ``lock`` is a semantic lock of one's own, in the place of a ``cure``.
    """
    amount = Choice((PRICE, DEAR), weights=(4, 1))
    careful: dict[str, Any] = {"of": "bus", "inbox": True, "outbox": True}
    return Scenario(
        Publisher("shop", to="bus", rate=rate, count=count, data={"luck": Uniform(0, 1), "amount": amount}),
        Publisher("office", to="bus", rate=1, type="price.raised", key="item"),
        Log("bus"),
        Saga("buying", of="bus", starts_on="order.placed", steps=PLAN.steps),
        Consumer("stock", on=Stock(cure, stock, lock).handlers, service_s=service_s, **careful),
        Consumer("payment", on=participant(CHARGE, refuses=refuses), service_s=Exponential(0.05), **careful),
        name=f"buyers-{cure.replace(' ', '-')}",
    )


class Anomalies(NamedTuple):
    """What sagas did to each other in one run."""

    sold: int
    oversold: int
    turned_away: int
    wrong_price: int
    dear_wrong_price: int


def anomalies(history: History, stock: int = STOCK) -> Anomalies:
    """Count things sold that were not there (lost updates); buyers who were told that all is sold out because of one
    who gave it back later (dirty reads); and buyers who paid a price that had changed meanwhile (fuzzy reads).
    """
    sales = history.of("effect", place="sold") if any(w.place == "sold" for w in history.whats) else ()
    notes = [history.notes[record.number] for record in sales]
    wrong = [note for note in notes if note["paid"] != note["price"]]
    dear = sum(note["amount"] >= DEAR for note in wrong)
    return Anomalies(len(notes), max(0, len(notes) - stock), _dirty_reads(history), len(wrong), dear)


def _dirty_reads(history: History) -> int:
    """Buyers who were turned away while somebody held a thing that came back."""
    taken: dict[str | None, float] = {}
    held: list[tuple[float, float]] = []
    refused: list[float] = []
    rows = history.of("published", node="stock")
    for time, event in zip(rows.time.tolist(), rows.event.tolist(), strict=True):
        type_, key = history.type_of(event), history.key_of(event)
        if type_ == TAKE.done_type:
            taken[key] = time
        elif type_ == TAKE.undone_type and key in taken:
            held.append((taken.pop(key), time))
        elif type_.endswith(".refused") and history.event_at(event).data.get("why") == "sold out":
            refused.append(time)
    return sum(any(start < time < end for start, end in held) for time in refused)
