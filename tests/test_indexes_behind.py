"""The indexes of a store in SQLite come behind its events, and nobody can tell, whoever writes."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim import BadEvent, BadFile, Event, store
from evsim.store import ANY, EXISTS, NONE, Conflict, indexes, sqlite

WRITERS = 2


def event(n):
    return Event(f"shop.{n}", "order.placed", n / 4, "shop", {"n": n}, correlation_id=f"talk-{n % 3}")


def agree(path, plan, behind=3):
    """Two writers on a file do what the plan says, and a store in memory too: they are told and hold the same."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as house:
        patch.setattr(sqlite, "BEHIND", behind)
        writers = [house.enter_context(store.open(path / "shop.db")) for _ in range(WRITERS)]
        model = store.open()
        for who, stream, numbers, expected in plan:
            given = stream, [event(n) for n in numbers], expected
            assert told(writers[who], *given) == told(model, *given)
        for each in writers:
            hold_the_same(each, model)


def told(one, *given):
    try:
        return one.append(*given)
    except (Conflict, BadEvent) as problem:
        return str(problem)


def hold_the_same(one, model):
    assert list(one.read_all()) == list(model.read_all())
    for stream in "abc":
        assert list(one.read(stream)) == list(model.read(stream))
        assert list(one.read(stream, backwards=True, limit=2)) == list(model.read(stream, backwards=True, limit=2))
        assert one.version(stream) == model.version(stream)
    for talk in range(3):
        assert list(one.read_correlated(f"talk-{talk}")) == list(model.read_correlated(f"talk-{talk}"))
    for n in range(13):
        assert one.find(f"shop.{n}") == model.find(f"shop.{n}")
    assert one.verify() == model.verify()


appends = st.tuples(
    st.integers(0, WRITERS - 1), st.sampled_from("abc"),
    st.lists(st.integers(0, 12), min_size=1, max_size=3, unique=True), st.sampled_from([ANY, NONE, EXISTS, 0, 1, 4]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(appends, max_size=25), st.sampled_from([1, 3, 1000]))
def test_two_writers_of_a_file_and_a_store_in_memory_do_the_same(tmp_path_factory, plan, behind):
    agree(tmp_path_factory.mktemp("store"), plan, behind)


def waiting(path):
    """How many events no index knows."""
    with closing(sqlite3.connect(path)) as db:
        return len(indexes.waiting(db))


def test_indexes_come_some_hundred_events_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BEHIND", 10)
    with store.open(tmp_path / "shop.db") as shop:
        behind = []
        for n in range(25):
            shop.append("a", event(n))
            behind.append(waiting(shop.path))
        assert max(behind) == 9
        assert behind[-1] == 5
        assert shop.append("a", [event(n) for n in range(100, 150)]).position == 75
        assert waiting(shop.path) == 0


def test_an_append_does_not_fail_because_an_index_cannot_be_made_now(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BEHIND", 5)
    with store.open(tmp_path / "shop.db") as shop:
        bring_up, tries = indexes.bring_up, []

        def busy(db):
            tries.append(1)
            if len(tries) == 1:
                raise sqlite3.OperationalError("database or disk is full")
            bring_up(db)

        monkeypatch.setattr(indexes, "bring_up", busy)
        for n in range(6):
            assert shop.append("a", event(n)).position == n + 1
        assert len(tries) == 2
        assert waiting(shop.path) == 0
        assert shop.verify() == 6


@pytest.mark.parametrize(
    ("crime", "index"),
    [
        ("delete from places where version = 1", "places"),
        ("update places set position = 1 where version = 1", "places"),
        ("insert into places values ('b', 0, 2)", "places"),
        ("delete from ids where id = 'shop.1'", "ids"),
        ("delete from conversations where position = 2", "conversations"),
        ("update indexed set upto = 99", "places"),
        ("update indexed set upto = 2", "places"),
        ("delete from indexed", "places"),
    ],
)
def test_who_changes_an_index_is_found_out_and_it_can_be_made_anew(tmp_path, monkeypatch, crime, index):
    monkeypatch.setattr(sqlite, "BEHIND", 3)
    with store.open(tmp_path / "shop.db") as shop:
        for n in range(3):
            shop.append("a", event(n))
        assert shop.verify() == 3
        with closing(sqlite3.connect(shop.path, isolation_level=None)) as thief:
            assert thief.execute(crime).rowcount == 1
        with pytest.raises(BadFile, match=f"table {index} was changed and shows others than these; reindex"):
            shop.verify()
        shop.reindex()
        assert shop.verify() == 3
        assert [each.event.id for each in shop.read("a")] == ["shop.0", "shop.1", "shop.2"]


FIRST_LAYOUT = """
create table events (
    position integer primary key, stream text not null, version integer not null, id text not null unique,
    correlation text, body text not null, link blob not null, unique (stream, version)
);
create index events_by_correlation on events (correlation, position) where correlation is not null;
create table streams (stream text primary key, hidden integer not null default 0, metadata text not null default '{}');
"""


def test_a_file_of_the_first_layout_is_given_its_indexes(tmp_path):
    with store.open() as model, closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as old:
        old.executescript(FIRST_LAYOUT)
        old.execute(f"pragma application_id = {sqlite.APPLICATION}")
        model.append("a", [event(n) for n in range(20)])
        for position, stream, version, body, link in model._links():
            told = model.find(f"shop.{version}").event
            row = (position, stream, version, told.id, told.correlation_id, body, link)
            old.execute("insert into events values (?, ?, ?, ?, ?, ?, ?)", row)
        model.append("a", event(20))
        with store.open(tmp_path / "old.db") as shop:
            assert waiting(shop.path) == 0
            assert shop.append("a", event(20), 19).position == 21
            assert shop.append("a", event(3)).again
            assert list(shop.read("a")) == list(model.read("a"))
            assert list(shop._links()) == list(model._links())
            assert shop.verify() == 21
