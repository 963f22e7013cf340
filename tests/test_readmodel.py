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
from evsim.patterns.projection import BlueGreen, Step, catch_up
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


def test_a_new_version_takes_over_though_the_last_event_of_the_old_one_was_hidden_since(tmp_path):
    kept = shop()
    blue = model(tmp_path / "views.db")
    catch_up(blue, kept)
    kept.delete("order-10")
    green = model(tmp_path / "views.db", version=2)
    assert catch_up(green, kept) == 9
    green.take_over()
    assert green.is_live
    green.reach(3)
    assert green.checkpoint == 10


def test_after_a_swap_the_new_version_answers(tmp_path):
    kept = shop()
    blue = model(tmp_path / "views.db")
    catch_up(blue, kept)
    green = model(tmp_path / "views.db", on={}, version=2)
    both = BlueGreen(blue, green, kept)
    with pytest.raises(BadScenario, match="10 positions behind"):
        both.swap()
    both.follow()
    assert both.swap().query("select * from totals") == []
    assert green.is_live
    assert both.swap().query("select sum(orders) as n from totals") == [{"n": 10}]
    assert blue.is_live


def test_a_table_that_the_new_version_does_not_have_answers_no_more(tmp_path):
    """Frozen rows would be taken for living ones; the way back brings the table back."""
    names = {"names": Table({"customer": "text"}, key="customer")}
    blue, green = model(tmp_path / "views.db", tables=TABLES | names), model(tmp_path / "views.db", version=2)
    assert green.query("select * from names") == []
    green.take_over()
    with pytest.raises(BadScenario, match="no such table: names"):
        green.query("select * from names")
    blue.take_over()
    assert green.query("select * from names") == []


class Interrupted:
    """A connection whose user presses Ctrl-C while a transaction begins."""

    def __init__(self, db):
        self.db = db

    @property
    def in_transaction(self):
        return self.db.in_transaction

    def execute(self, sql, *values):
        done = self.db.execute(sql, *values)
        if sql.startswith("begin"):
            raise KeyboardInterrupt
        return done


def test_an_interrupt_while_it_begins_does_not_take_later_work_away(tmp_path):
    totals = model(tmp_path / "views.db")
    mended = totals._connection
    totals._connection = Interrupted(mended)
    with pytest.raises(KeyboardInterrupt):
        totals.take([(1, placed(1))])
    assert not mended.in_transaction
    totals._connection = mended
    mended.execute("begin immediate")  # as a second Ctrl-C, in the middle of the rollback, leaves it
    assert totals.take([(1, placed(1))]) == 1
    assert model(tmp_path / "views.db").checkpoint == 1


def test_an_event_is_not_taken_in_the_middle_of_another():
    def greedy(rows, event):
        total(rows, event)
        totals.take([(7, placed(7))])

    totals = model(on={"order.placed": greedy})
    with pytest.raises(BadScenario, match="writes with its rows only"):
        totals.take([(1, placed(1))])
    assert (totals.checkpoint, totals.query("select * from totals")) == (0, [])


@pytest.mark.parametrize(
    "act",
    [
        lambda totals: totals.checkpoint,
        lambda totals: totals.is_live,
        lambda totals: totals.take([]),
        lambda totals: totals.reach(1),
        lambda totals: totals.take_over(),
        lambda totals: totals.query("select * from totals"),
    ],
)
def test_a_closed_one_says_so(act):
    totals = model()
    totals.close()
    totals.close()
    with pytest.raises(BadScenario, match="'customers' is closed"):
        act(totals)


def test_text_that_nobody_can_write_down_is_refused_in_one_sentence():
    totals = model()
    with pytest.raises(BadScenario, match="surrogates"):
        totals.query("select ?", "\ud800")
    with pytest.raises(BadScenario, match="no name of a read model"):
        model(name="\ud800")


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
        ({"on": None}, "on=None"),
        ({"on": {"order.placed": 3}}, "cannot apply 3"),
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
        (lambda rows, _: rows.put("totals", customer="\ud800"), "whole characters"),
        (lambda rows, _: rows.put("totals", customer="ada", orders="many"), "orders='many' cannot .* orders integer"),
        (lambda rows, _: rows.put("totals", customer="ada", orders=1.5), "orders=1.5 cannot be kept"),
        (lambda rows, _: rows.add("totals", customer="ada", orders="x"), "orders='x' cannot be kept"),
        (lambda rows, _: rows.add("totals", customer="ada", orders=None), "None cannot be added"),
        (lambda rows, _: [rows.add("totals", customer="ada", orders=2**62) for _ in "ab"], "cannot be kept"),
        (lambda rows, _: rows.add("total", customer="ada"), "did you mean 'totals'"),
    ]:
        with pytest.raises((BadScenario, UnknownName), match=word):
            model(on={"order.placed": handler}).take([(1, placed(1))])


def test_a_changed_shape_needs_another_version(tmp_path):
    model(tmp_path / "views.db").close()
    wider = {"totals": Table({"customer": "text", "orders": "integer"}, key="customer")}
    with pytest.raises(BadFile, match="another version"):
        model(tmp_path / "views.db", tables=wider)
    assert model(tmp_path / "views.db", tables=wider, version=2).checkpoint == 0


@pytest.mark.parametrize(
    "changed",
    [
        Table({"customer": "text", "orders": "integer", "spent": "real"}, key="orders"),
        Table({"customer": "text", "orders": "integer", "spent": "real"}, key=("customer", "orders")),
        Table({"customer": "text", "orders": "real", "spent": "real"}, key="customer"),
    ],
)
def test_another_key_or_type_is_another_version_too(tmp_path, changed):
    model(tmp_path / "views.db").close()
    with pytest.raises(BadFile, match=r"orders integer, spent real with the key customer in .* another version"):
        model(tmp_path / "views.db", tables={"totals": changed})


def test_text_is_put_and_not_added():
    names = {"names": Table({"customer": "text", "town": "text"}, key="customer")}
    add = {"order.placed": lambda rows, _: rows.add("names", customer="ada", town="ulm")}
    with pytest.raises(BadScenario, match="'ulm' cannot be added to the text 'town' of 'names'"):
        model(tables=names, on=add).take([(1, placed(1))])


def test_a_file_from_before_columns_knew_their_type_is_read_on(tmp_path):
    path = tmp_path / "views.db"
    model(path).close()
    old = sqlite3.connect(path)
    old.executescript(
        "drop view totals; drop table totals__1; create table totals__1 "
        '("customer" text not null, "orders" integer, "spent" real, primary key ("customer"));'
        "create view totals as select * from totals__1; insert into totals__1 values ('ada', 'many', 1)"
    )
    old.close()
    totals = model(path)
    assert totals.take([(1, placed(1, customer="bob"))]) == 1
    assert totals.query("select orders from totals order by customer") == [{"orders": "many"}, {"orders": 1}]


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
