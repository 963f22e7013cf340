"""Change capture: nothing is committed without being captured, and the application does not notice."""

from __future__ import annotations

import random
import sqlite3

import pytest

from evsim.errors import BadFile
from evsim.patterns.replica import APPLY, living
from evsim.store.capture import capture, captured


@pytest.fixture
def db():
    found = sqlite3.connect(":memory:", isolation_level=None)
    yield found
    found.close()


def customers(db, columns="id integer primary key, email text"):
    db.execute(f"create table c ({columns})")
    capture(db, "c")


def told(db, table="c"):
    return [(each.key, each.version, each.before, each.after) for each in captured(db, table)]


def copied(db):
    copy = {}
    for each in captured(db, "c"):
        APPLY["version"](copy, each.change)
    return sorted(value["id"] for _, value in living(copy).values())


def test_a_row_with_another_key_is_gone_under_the_old_one(db):
    customers(db)
    db.execute("insert into c values (2, 'a@x')")
    db.execute("update c set id = 3 where id = 2")
    assert told(db)[1:] == [
        ("2", 2, {"id": 2, "email": "a@x"}, None),
        ("3", 1, None, {"id": 3, "email": "a@x"}),
    ]
    assert copied(db) == [3]


def test_keys_that_only_a_collation_takes_for_equal_are_two(db):
    customers(db, "id text collate nocase primary key, email text")
    db.execute("insert into c values ('ada', 'a@x')")
    db.execute("update c set id = 'Ada'")
    assert copied(db) == ["Ada"]


@pytest.mark.parametrize(
    ("columns", "unique"),
    [
        ("id integer primary key, email text unique", "email"),
        ("id integer, email text primary key", "email"),
        ("number integer primary key, id text unique, email text", "number"),
        ("id integer primary key, email text, unique (id, email)", "id, email"),
    ],
)
def test_where_replace_would_delete_in_silence_the_connection_is_asked_to_speak(db, columns, unique):
    db.execute(f"create table c ({columns})")
    with pytest.raises(BadFile, match=f"unique in {unique} too.*recursive_triggers = on") as refused:
        capture(db, "c")
    assert "\n" not in str(refused.value)
    assert db.execute("select count(*) from sqlite_master where name like 'c!_%' escape '!'").fetchone() == (0,)
    db.execute("pragma recursive_triggers = on")
    capture(db, "c")


def test_a_row_that_another_one_replaces_is_deleted(db):
    db.execute("pragma recursive_triggers = on")
    customers(db, "id integer primary key, email text unique")
    db.execute("insert into c values (1, 'a@x')")
    db.execute("insert or replace into c values (2, 'a@x')")
    assert copied(db) == [2]
    db.execute("update or replace c set id = 5, email = 'a@x'")
    db.execute("insert into c values (6, 'b@x')")
    db.execute("update or replace c set email = 'a@x' where id = 6")
    assert copied(db) == [6]


@pytest.mark.parametrize("recursive", ["on", "off"])
def test_replace_by_the_key_alone_is_captured_on_any_connection(db, recursive):
    db.execute(f"pragma recursive_triggers = {recursive}")
    customers(db)
    db.execute("insert into c values (1, 'a@x'), (2, 'b@x')")
    db.execute("insert or replace into c values (1, 'c@x')")
    db.execute("update or replace c set id = 1 where id = 2")
    assert copied(db) == [1]
    assert list(captured(db, "c"))[-1].after == {"id": 1, "email": "b@x"}


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (b"\x00\xff", "00FF"),
        (1e999, float("inf")),
        (-1e999, float("-inf")),
        (0.1 + 0.2, 0.1 + 0.2),
        (None, None),
        (2**63 - 1, 2**63 - 1),
        ('o\'clock "é"\n', 'o\'clock "é"\n'),
    ],
)
def test_the_application_may_write_whatever_sqlite_takes(db, value, seen):
    customers(db, "id integer primary key, email")
    db.execute("insert into c values (1, ?)", [value])
    assert told(db) == [("1", 1, None, {"id": 1, "email": seen})]


def test_numbers_are_captured_to_their_last_digit(db):
    customers(db, "id integer primary key, email real")
    chance = random.Random(3)
    given = [chance.uniform(-1e6, 1e6) for _ in range(200)]
    db.executemany("insert into c (email) values (?)", [[each] for each in given])
    assert [each.after["email"] for each in captured(db, "c")] == given


@pytest.mark.parametrize(("key", "name"), [(None, "null"), (b"\x0a", "0A"), (1.5, "1.5"), ("ü", "ü")])
def test_every_row_has_a_name(db, key, name):
    customers(db, "id primary key, email text")
    db.execute("insert into c values (?, 'a@x')", [key])
    db.execute("update c set email = 'b@x'")
    db.execute("delete from c")
    assert [(each.key, each.version) for each in captured(db, "c")] == [(name, 1), (name, 2), (name, 3)]


def test_a_new_column_is_captured_after_capturing_again(db):
    customers(db)
    db.execute("alter table c add column town text")
    capture(db, "c")
    db.execute("insert into c values (1, 'a@x', 'ulm')")
    assert told(db) == [("1", 1, None, {"id": 1, "email": "a@x", "town": "ulm"})]


def test_a_table_of_many_columns_is_captured(db):
    """More than a function of SQLite has arguments for."""
    names = [f"c{n}" for n in range(150)]
    customers(db, f"id integer primary key, {', '.join(names)}")
    db.execute("insert into c (id, c149) values (1, 7)")
    assert told(db)[0][3]["c149"] == 7


@pytest.mark.parametrize("name", ["order", "a b", "it's", 'say "no"', "größe", "{0}"])
def test_names_may_be_anything(db, name):
    quoted = '"' + name.replace('"', '""') + '"'
    db.execute(f"create table {quoted} ({quoted} integer primary key, email text)")
    capture(db, name, name)
    db.execute(f"insert into {quoted} values (1, 'a@x')")
    assert told(db, name) == [("1", 1, None, {name: 1, "email": "a@x"})]


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (lambda db: captured(db, "c"), "nothing of 'c' was captured"),
        (lambda db: capture(db, "d"), "no table 'd'"),
        (lambda db: capture(db, 3), "no table 3"),
        (lambda db: capture(db, "c", "ide"), "no column 'ide' — did you mean 'id'"),
        (lambda db: capture(db, "v"), "'v' cannot be captured .*view"),
        (lambda db: capture(db, "\ud800"), "cannot be captured"),
    ],
)
def test_mistakes_are_said_in_one_sentence(db, act, word):
    db.execute("create table c (id integer primary key)")
    db.execute("create view v as select * from c")
    with pytest.raises(BadFile, match=word) as refused:
        act(db)
    assert "\n" not in str(refused.value)
    assert not db.in_transaction
    assert db.execute("select name from sqlite_master order by name").fetchall() == [("c",), ("v",)]


def test_capturing_does_not_end_the_transaction_of_the_application(db):
    db.execute("create table c (id integer primary key)")
    db.execute("begin")
    db.execute("insert into c values (1)")
    capture(db, "c")
    assert db.in_transaction
    db.execute("rollback")
    assert db.execute("select count(*) from c").fetchone() == (0,)
