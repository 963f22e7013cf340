"""A read model in SQLite: rows and checkpoint are one, whatever dies; names and queries can do no harm."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from evsim import Event, store
from evsim.errors import BadEvent, BadFile, BadScenario, UnknownName
from evsim.patterns.projection import Step, catch_up
from evsim.store.readmodel import SQLReadModel, Table

TABLES = {"totals": Table({"customer": "text", "orders": "integer", "spent": "real"}, key="customer")}


def placed(number, amount=1.0, customer="ada"):
    return Event(f"order.{number}", "order.placed", float(number), "shop", {"amount": amount}, key=customer)


def total(rows, event):
    rows.add("totals", customer=event.key, orders=1, spent=event.data["amount"])


def shop(count=10):
    kept = store.open()
    for number in range(1, count + 1):
        kept.append(f"order-{number}", placed(number, number, "ada" if number % 2 else "bob"))
    return kept


def model(path=None, **settings):
    return SQLReadModel(path, **({"name": "customers", "tables": TABLES, "on": {"order.placed": total}} | settings))


def test_it_is_asked_with_sql():
    totals, steps = model(), []
    assert catch_up(totals, shop(), batch=4, progress=steps.append) == 10
    assert steps[-1] == Step(10, 10, 10)
    assert totals.query("select * from totals where spent > ? order by customer", 25) == [
        {"customer": "bob", "orders": 5, "spent": 30.0}
    ]


def test_what_comes_again_changes_nothing(tmp_path):
    path, events = tmp_path / "views.db", [(n, placed(n)) for n in range(1, 6)]
    for _ in range(3):
        totals = model(path)
        totals.take(events)
        totals.close()
    assert model(path).query("select orders from totals") == [{"orders": 5}]
    assert model(path).take(events) == 0


def test_a_handler_that_fails_leaves_rows_and_checkpoint_as_they_were():
    def fails(rows, event):
        total(rows, event)
        if event.id == "order.3":
            raise ValueError(event.id)

    totals = model(on={"order.placed": fails})
    totals.take([(1, placed(1))])
    with pytest.raises(ValueError, match=r"order\.3"):
        totals.take([(2, placed(2)), (3, placed(3))])
    assert totals.checkpoint == 1
    assert totals.query("select orders from totals") == [{"orders": 1}]


_FOLLOW = """
import sys
sys.path.insert(0, {tests!r})
from test_readmodel import model, placed
totals = model({path!r})
print("ready", flush=True)
while True:
    begin = totals.checkpoint + 1
    totals.take([(n, placed(n)) for n in range(begin, begin + 3)])
"""


def test_a_killed_process_leaves_rows_and_checkpoint_equal(tmp_path):
    """Killed ten times in the middle of its work; it is never behind, and never ahead of itself."""
    path, chance = tmp_path / "views.db", random.Random(3)
    code = _FOLLOW.format(tests=str(__import__("pathlib").Path(__file__).parent), path=str(path))
    before = 0
    for _ in range(10):
        follower = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        follower.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.05))
        follower.send_signal(signal.SIGKILL)
        follower.wait()
        follower.stdout.close()
        totals = model(path)
        rows = totals.query("select coalesce(sum(orders), 0) as orders from totals")
        assert rows == [{"orders": totals.checkpoint}]
        assert totals.checkpoint >= before
        before = totals.checkpoint
        totals.close()
    assert before > 0


def test_two_followers_of_one_file_take_each_event_once(tmp_path):
    path = tmp_path / "views.db"
    one, other = model(path), model(path)
    one.take([(1, placed(1)), (2, placed(2))])
    assert other.take([(1, placed(1)), (2, placed(2)), (3, placed(3))]) == 1
    assert one.query("select orders from totals") == [{"orders": 3}]


def test_a_new_version_grows_beside_and_takes_over(tmp_path):
    path, kept = tmp_path / "views.db", shop()
    blue = model(path)
    catch_up(blue, kept)

    def big(rows, event):
        if event.data["amount"] > 5:
            total(rows, event)

    green = model(path, on={"order.placed": big}, version=2)
    green.take([(each.position, each.event) for each in kept.read_all(limit=4)])
    with pytest.raises(BadScenario, match="6 positions behind"):
        green.take_over()
    assert (blue.is_live, green.is_live) == (True, False)
    assert blue.query("select sum(orders) as n from totals") == [{"n": 10}]
    catch_up(green, kept)
    assert blue.query("select sum(orders) as n from totals") == [{"n": 10}]
    green.take_over()
    assert (blue.is_live, green.is_live) == (False, True)
    assert blue.query("select sum(orders) as n from totals") == [{"n": 5}]
    blue.take_over()
    assert green.query("select sum(orders) as n from totals") == [{"n": 10}]


def test_rows_are_put_found_and_removed():
    def act(rows, event):
        assert rows.get("totals", customer="eve") is None
        rows.put("totals", customer="eve", orders=3)
        rows.put("totals", customer="eve", spent=1.5)
        assert rows.get("totals", customer="eve") == {"customer": "eve", "orders": 3, "spent": 1.5}
        rows.remove("totals", customer="eve")
        assert rows.get("totals", customer="eve") is None
        rows.put("totals", customer="'; drop table totals; --")

    totals = model(on={"order.placed": act})
    totals.take([(1, placed(1))])
    assert totals.query("select customer from totals") == [{"customer": "'; drop table totals; --"}]


EVIL = ['totals"; drop table evsim_models; --', "sqlite_master", "evsim_models", "Totals", "", "a b", "x" * 61, 3]


@pytest.mark.parametrize("name", EVIL)
def test_names_can_do_no_harm(name):
    with pytest.raises(BadScenario, match="no name") as refused:
        model(tables={name: Table({"customer": "text"}, key="customer")})
    assert "\n" not in str(refused.value)
    with pytest.raises(BadScenario, match="no name"):
        model(tables={"totals": Table({name: "text"}, key=name)})

    def write(rows, event):
        rows.put("totals", customer="ada", **{str(name): 1})

    totals = model(on={"order.placed": write})
    with pytest.raises(UnknownName, match="no column"):
        totals.take([(1, placed(1))])
    assert totals.checkpoint == 0


@pytest.mark.parametrize(
    "sql",
    [
        "delete from totals__1",
        "drop view totals",
        "insert into totals__1 values ('eve', 1, 1)",
        "update evsim_models set checkpoint = 99",
        "attach 'other.db' as other",
        "pragma query_only = off",
        "select 1; drop view totals",
        "selec 1",
        "begin",
    ],
)
def test_a_query_only_reads(sql):
    totals = model()
    totals.take([(1, placed(1))])
    with pytest.raises(BadScenario, match="refused"):
        totals.query(sql)
    assert totals.query("select count(*) as n from totals") == [{"n": 1}]
    assert totals.take([(2, placed(2))]) == 1


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"tables": {}}, "no table"),
        ({"tables": {"totals": Table({"a": "money"}, key="a")}}, "expected text"),
        ({"tables": {"totals": Table({"customer": "text"}, key="custmer")}}, "did you mean 'customer'"),
        ({"on": {"place.order": total}}, "a wish"),
        ({"version": 0}, "version"),
        ({"tables": {"totals": 3}}, "expected Table"),
        ({"tables": {"totals": Table({}, key="a")}}, "no column 'a'"),
        ({"tables": {"totals": Table({"a": "text"}, key=())}}, "for a key"),
        ({"tables": {"totals": Table({"a": "text"}, key=3)}}, "for a key"),
        ({"tables": {"totals": Table(3, key="a")}}, "for columns"),
        ({"name": ""}, "no name of a read model"),
    ],
)
def test_mistakes_are_said_in_one_sentence(settings, word):
    with pytest.raises(BadScenario, match=word) as refused:
        model(**settings)
    assert "\n" not in str(refused.value)


def test_mistakes_of_a_handler():
    for handler, word in [
        (lambda rows, _: rows.put("total", customer="ada"), "did you mean 'totals'"),
        (lambda rows, _: rows.put("totals", orders=1), "without its key"),
        (lambda rows, _: rows.get("totals", orders=1), "found by customer"),
        (lambda rows, _: rows.put("totals", customer=None, orders=1), "customer=None.* cannot be kept"),
        (lambda rows, _: rows.put("totals", customer="ada", orders=2**64), "cannot be kept"),
        (lambda rows, _: rows.put("totals", customer=["ada"]), "cannot be kept"),
    ]:
        with pytest.raises((BadScenario, UnknownName), match=word):
            model(on={"order.placed": handler}).take([(1, placed(1))])


def test_a_changed_shape_needs_another_version(tmp_path):
    model(tmp_path / "views.db").close()
    wider = {"totals": Table({"customer": "text", "orders": "integer"}, key="customer")}
    with pytest.raises(BadFile, match="another version"):
        model(tmp_path / "views.db", tables=wider)
    assert model(tmp_path / "views.db", tables=wider, version=2).checkpoint == 0


def test_two_read_models_of_a_file_do_not_share_a_table(tmp_path):
    """Both would add to the same rows, each with a checkpoint of its own."""
    first = model(tmp_path / "views.db")
    first.take([(1, placed(1))])
    with pytest.raises(BadFile, match="belongs to the read model 'customers'"):
        model(tmp_path / "views.db", name="others")
    other = {"counts": Table({"customer": "text", "orders": "integer", "spent": "real"}, key="customer")}
    assert model(tmp_path / "views.db", name="others", tables=other).checkpoint == 0
    assert first.query("select count(*) as n from totals") == [{"n": 1}]
    assert first.is_live


def test_a_file_that_cannot_be_made(tmp_path):
    with pytest.raises(BadFile, match="a folder that is there"):
        model(tmp_path / "nowhere" / "views.db")


@pytest.mark.parametrize("position", [0, -1, True, "3", None])
def test_a_bad_position_is_refused(position):
    totals = model()
    with pytest.raises(BadEvent, match="no position"):
        totals.take([(1, placed(1)), (position, placed(2))])
    assert totals.checkpoint == 0
    assert totals.query("select * from totals") == []


def test_another_file_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, but quite some text of more than a hundred bytes " * 3)
    with pytest.raises(BadFile, match="no read model"):
        model(path)
    assert path.read_text().startswith("no database")
    assert sqlite3.sqlite_version_info >= (3, 24)
