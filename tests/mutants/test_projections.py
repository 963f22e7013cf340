"""Broken projections: each mistake is noticed by a promise that the right one keeps."""

from __future__ import annotations

import pytest

import evsim as ev
from evsim import catalog, store
from evsim.patterns.projection import Projection, ReadModel, View, catch_up
from evsim.store.readmodel import SQLReadModel, Table


def placed(number):
    return ev.Event(f"order.{number}", "order.placed", float(number), "shop", {}, key="ada")


COUNT = Projection("count", 0, {"order.placed": lambda count, _: count + 1})


class Forgetful(Projection):
    """Does not look at its checkpoint."""

    def knows(self, view: View, position: int) -> bool:
        return False


@pytest.mark.parametrize(("projection", "count"), [(COUNT, 3), (Forgetful("count", 0, COUNT.on), 6)])
def test_a_projection_that_does_not_look_at_its_checkpoint_applies_twice(projection, count):
    model = ReadModel(projection)
    for _ in range(2):
        model.take([(n, placed(n)) for n in range(1, 4)])
    assert model.state == count


@pytest.mark.parametrize("checkpoint", ["before", "after", "none"])
def test_a_checkpoint_apart_from_its_rows_is_found_by_a_crash_search(checkpoint):
    shop = catalog.get("read-model").replace("orders-view", checkpoint=checkpoint, inbox=False)
    found = shop.search(ev.applied_once(), budget=300, until_s=20, progress=False)
    assert found.verdict.state == "VIOLATED"


class Apart(SQLReadModel):
    """Writes its checkpoint in a transaction of its own, before the rows."""

    def take(self, events):
        given = list(events)
        kept, self.on = self.on, {}
        super().take(given)
        self.on = kept
        self._db.execute("begin")
        for _, event in given:
            self.on[event.type](self._rows, event)
        self._db.execute("commit")
        return len(given)


class Dies(Exception):
    """The process ends here."""


@pytest.mark.parametrize(("kind", "rows"), [(SQLReadModel, 3), (Apart, 2)])
def test_a_checkpoint_in_another_transaction_loses_rows(kind, rows, tmp_path):
    """It dies in the middle of the third event; who comes after it goes on from the checkpoint."""
    deaths = [Dies()]

    def add(table, event):
        if event.id == "order.3" and deaths:
            raise deaths.pop()
        table.add("totals", customer="ada", orders=1)

    kept = store.open()
    for n in range(1, 4):
        kept.append("orders", placed(n))
    how = {"tables": {"totals": Table({"customer": "text", "orders": "integer"}, key="customer")}}
    first = kind(tmp_path / "views.db", "totals", on={"order.placed": add}, **how)
    with pytest.raises(Dies):
        catch_up(first, kept, batch=1)
    first.close()
    second = kind(tmp_path / "views.db", "totals", on={"order.placed": add}, **how)
    catch_up(second, kept)
    assert second.query("select orders from totals") == [{"orders": rows}]
