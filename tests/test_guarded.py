"""A store behind a registry: the contract of every store for good events, and nothing written of bad ones."""

from __future__ import annotations

import inspect

import pytest
import test_store
from pydantic import BaseModel, ConfigDict, create_model
from test_store import event, events, ids, opened

from evsim import BadEvent, Event, schema, store
from evsim.store import Guarded


class Whatever(BaseModel):
    model_config = ConfigDict(extra="allow")


def registry_of(*types, versions=3, model=Whatever):
    found = schema.Registry("none")
    for event_type in types:
        for version in range(1, versions + 1):
            found.register(event_type, version, model)
    return found


@pytest.fixture(params=["memory", "sqlite"])
def shop(request, tmp_path):
    with Guarded(opened(request.param, tmp_path), registry_of("order.placed", "order.paid")) as found:
        yield found


CONTRACT = {
    name: play
    for name, play in vars(test_store).items()
    if name.startswith("test_") and "shop" in inspect.signature(play).parameters
}
"""Every play of the event stores' contract that asks for a shop: here the shop is guarded."""
globals().update(CONTRACT)


def test_the_contract_is_played_here_too():
    assert len(CONTRACT) > 12


# ---------------------------------------------------------------- what is refused


@pytest.fixture
def guarded():
    found = schema.Registry()
    found.register("order.placed", 1, create_model("Placed", amount=(int, ...)))
    return Guarded(store.open(), found)


def placed(n, version=1, event_type="order.placed", **data):
    return Event(f"shop.{n}", event_type, 0.0, "shop", data, version=version)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (placed(2, 99, amount=3), "version 99 of order.placed is unknown; only version 1 is registered"),
        (placed(2, junk=True), "event shop.2 is no order.placed 1: amount: field required; mend the event"),
        (placed(2, amount="3"), "amount: input should be a valid integer, not '3'"),
        (placed(2, event_type="order.paid", amount=3), "event shop.2 has the unknown type 'order.paid'"),
        (placed(2, event_type="snapshot.taken"), "event shop.2 has the unknown type 'snapshot.taken'"),
    ],
)
def test_what_breaks_its_schema_is_refused_in_one_sentence_and_the_store_is_unchanged(guarded, bad, said):
    guarded.append("order-1", placed(0, amount=3))
    head = guarded.head
    for given in (bad, [placed(1, amount=3), bad]):
        with pytest.raises(BadEvent) as refused:
            guarded.append("order-1", given)
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)
    assert guarded.head == head
    assert guarded.registry.prove(each.event for each in guarded.read_all()).read["order.placed"] == {1: 1}


def test_a_retry_is_taken_once_behind_a_guard_too(guarded):
    first = guarded.append("order-1", placed(1, amount=3), store.NONE)
    assert guarded.append("order-1", placed(1, amount=3), store.NONE) == first._replace(again=True)


def test_a_generator_of_events_is_looked_at_and_then_written(shop):
    shop.append("order-1", (event(n) for n in range(3)))
    assert ids(shop.read("order-1")) == ["shop.0", "shop.1", "shop.2"]
    assert shop.verify(shop.head) == 3


def test_what_is_behind_the_guard_is_what_is_read_through_it(shop):
    shop.append("order-1", events(1, 2))
    assert list(shop.read_all()) == list(shop.store.read_all())
    assert shop.head == shop.store.head


def test_snapshots_of_a_repository_pass(guarded):
    guarded.append("snapshot-order-1", placed(1, event_type="snapshot.taken", version=7))
    assert guarded.version("snapshot-order-1") == 0
