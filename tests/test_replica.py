"""Copies of rows: what survives disorder; reconciliation that makes any two stores equal; changes from SQLite."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim import BadFile, BadScenario
from evsim.patterns.reconcile import Difference, differences, digests, mend, repairs
from evsim.patterns.replica import APPLY, Change, living
from evsim.store.capture import capture, captured

histories = st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from([None, 1, 2, 3]), min_size=1, max_size=5))


def changes_of(history):
    return [
        Change(key, n, value, float(n)) for key, values in history.items() for n, value in enumerate(values, start=1)
    ]


def applied(how, changes):
    rows = {}
    for change in changes:
        APPLY[how](rows, change)
    return living(rows)


@given(histories, st.data())
def test_by_version_a_copy_is_right_in_any_order_with_any_repetition(history, data):
    """The last change of each row wins, whenever it comes; a deleted row does not come back."""
    changes = changes_of(history)
    right = {key: (len(values), values[-1]) for key, values in history.items() if values[-1] is not None}
    again = data.draw(st.lists(st.sampled_from(changes), max_size=5)) if changes else []
    coming = data.draw(st.permutations(changes + again))
    assert applied("version", coming) == right
    assert applied("timestamp", coming) == right, "with one good clock, timestamps are as good as numbers"


def test_by_arrival_disorder_brings_the_dead_back():
    old, gone = Change("a", 1, "ann", 1.0), Change("a", 2, None, 2.0)
    assert applied("arrival", [gone, old]) == {"a": (1, "ann")}
    assert applied("version", [gone, old]) == {}


def test_last_write_wins_loses_the_later_write_of_a_slow_clock_without_a_word():
    first, second = Change("a", 1, "by a fast clock", 105.0), Change("a", 2, "made later", 103.0)
    assert applied("timestamp", [first, second]) == {"a": (1, "by a fast clock")}
    assert applied("version", [first, second]) == {"a": (2, "made later")}


# ---------------------------------------------------------------- reconciliation

stores = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.builds(lambda version, value: {"version": version, "value": value, "at_s": 0.0},
              st.integers(1, 3), st.sampled_from([None, "x", "y"])),
    max_size=12,
)  # fmt: skip


@given(stores, stores, st.sampled_from([1, 4, 64]))
def test_any_two_stores_become_equal_by_one_change_for_each_difference(source, copy, buckets):
    found = repairs(source, copy, buckets)
    ours, theirs = living(copy), living(source)
    assert {change.key for change in found} == {key for key in ours | theirs if ours.get(key) != theirs.get(key)}
    mended = dict(copy)
    mend(mended, found)
    assert living(mended) == living(source)
    assert digests(mended, buckets) == digests(source, buckets)
    assert repairs(source, mended, buckets) == []


@given(stores, stores)
def test_a_repair_is_not_undone_by_an_old_change(source, copy):
    """What a repair leaves has a number, so that a change which comes late is still ignored."""
    mended = dict(copy)
    mend(mended, repairs(source, copy))
    before = living(mended)
    for key, row in copy.items():
        APPLY["version"](mended, Change(key, row["version"], row["value"], row["at_s"]))
    extra = {key for key, row in copy.items() if key in source and row["version"] > source[key]["version"]}
    assert {k: v for k, v in living(mended).items() if k not in extra} == {
        k: v for k, v in before.items() if k not in extra
    }


def test_the_kinds_of_difference():
    rows = [{"version": 1, "value": value, "at_s": 0.0} for value in "xyz"]
    found = differences({"a": rows[0], "b": rows[1]}, {"b": rows[2], "c": rows[0]})
    assert found == [Difference("a", "missing"), Difference("b", "different"), Difference("c", "extra")]
    with pytest.raises(BadScenario, match="from 1"):
        digests({}, 0)


# ---------------------------------------------------------------- change capture


@pytest.fixture
def db():
    found = sqlite3.connect(":memory:", isolation_level=None)
    found.execute("create table customers (id text primary key, name text, city text)")
    capture(found, "customers")
    yield found
    found.close()


def test_every_change_is_captured_with_before_and_after(db):
    db.execute("insert into customers values ('c1', 'ann', 'bern')")
    db.execute("update customers set city = 'basel' where id = 'c1'")
    db.execute("delete from customers")
    found = list(captured(db, "customers"))
    assert [(each.key, each.version) for each in found] == [("c1", 1), ("c1", 2), ("c1", 3)]
    assert found[1].before["city"] == "bern"
    assert found[1].after["city"] == "basel"
    assert found[2].change.value is None
    assert [each.number for each in captured(db, "customers", after=2)] == [3]


def test_what_is_rolled_back_was_never_captured(db):
    db.execute("begin")
    db.execute("insert into customers values ('c1', 'ann', 'bern')")
    db.execute("rollback")
    assert list(captured(db, "customers")) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "drop"]), st.integers(0, 9)), max_size=25))
def test_a_copy_made_of_the_changes_is_the_table(acts):
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("create table rows (id text primary key, n integer)")
    capture(db, "rows")
    for key, act, n in acts:
        if act == "put":
            db.execute("insert into rows values (?, ?) on conflict (id) do update set n = excluded.n", (key, n))
        else:
            db.execute("delete from rows where id = ?", (key,))
    copy = {}
    for each in captured(db, "rows"):
        APPLY["version"](copy, each.change)
    assert {key: value["n"] for key, (_, value) in living(copy).items()} == dict(db.execute("select id, n from rows"))
    db.close()


@pytest.mark.parametrize(("table", "key"), [("x; drop table customers", "id"), ("customers", "i d"), ("none", "id"),
                                            ("customers", "nickname")])  # fmt: skip
def test_names_that_are_none_are_refused(db, table, key):
    with pytest.raises(BadFile):
        capture(db, table, key)
    assert db.execute("select count(*) from customers").fetchone() == (0,)
