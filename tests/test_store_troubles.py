"""What happens to event stores: interrupts anywhere, full disks, locks, broken pages, and many who begin at once."""

from __future__ import annotations

import functools
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from types import FunctionType

import pytest
from databases import new_schema, server

from evsim import BadEvent, BadFile, Event, EvsimError, store
from evsim.store import ANY, Conflict, connection, indexes, postgres, sqlite
from evsim.store.recorder import Store
from evsim.store.tables import Tables


def event(n, **more):
    return Event(f"shop.{n}", "order.placed", n / 4, "shop", {"n": n}, **more)


def events(*numbers):
    return [event(n) for n in numbers]


def ids(found):
    return [each.event.id for each in found]


# ---------------------------------------------------------------- an interrupt anywhere


class Interrupts:
    """Ctrl-C at the nth place: before and after each method of a store, and each word to its database."""

    def __init__(self, patch):
        self.left = 0
        for kind in (Store, Tables, sqlite.SQLiteStore, postgres.PostgresStore):
            for name, value in list(vars(kind).items()):
                if isinstance(value, FunctionType) and not name.startswith("__"):
                    patch.setattr(kind, name, self.around(value))
        patch.setattr(sqlite, "connected", lambda path: Talking(connection.connected(path), self))

    def place(self):
        if self.left:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    def around(self, act):
        @functools.wraps(act)
        def watched(*given, **named):
            self.place()
            done = act(*given, **named)
            self.place()
            return done

        return watched

    def strikes(self, act, nth):
        """Whether the interrupt came before the act was done."""
        self.left = nth
        try:
            act()
        except KeyboardInterrupt:
            return True
        finally:
            self.left = 0
        return False


class Talking:
    """A connection to SQLite in whose words an interrupt can come."""

    def __init__(self, db, interrupts):
        self._db = db
        self.execute, self.executemany = interrupts.around(db.execute), interrupts.around(db.executemany)
        self.close = db.close

    @property
    def in_transaction(self):
        return self._db.in_transaction


def opened(kind, path, schema):
    return store.open(path / "shop.db") if kind == "sqlite" else store.open(server().get_uri(), schema=schema)


def believe_wrongly(shop):
    with pytest.raises(Conflict):
        shop.append("a", event(10), 7)


def append_tens(shop):
    for n in range(1, 1000):
        shop.append("a", [event(10 * n + k) for k in range(10)])


ACTS = {
    "some events": lambda shop: shop.append("a", events(10, 11)),
    "one event": lambda shop: shop.append("a", event(10)),
    "a wrong belief": believe_wrongly,
    "a retry": lambda shop: shop.append("a", events(0, 1)),
    "hiding": lambda shop: shop.truncate("b", 1),
}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_after_an_interrupt_anywhere_what_is_acknowledged_is_there(kind, act, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BEHIND", 4)
    interrupts = Interrupts(monkeypatch)
    for nth in range(1, 400):
        path, schema = tmp_path / str(nth), new_schema() if kind == "postgres" else None
        path.mkdir()
        with opened(kind, path, schema) as shop:
            shop.append("a", events(0, 1))
            shop.append("b", events(2, 3))
            came = interrupts.strikes(lambda shop=shop: act(shop), nth)
            told = [shop.append("a", event(20)), shop.append("b", events(21, 22)), shop.append("a", event(23))]
            with opened(kind, path, schema) as other:
                assert other.append("c", event(30)).version == 0, "nobody is locked out"
                for each, found in zip((20, 22, 23), told, strict=True):
                    assert other.find(f"shop.{each}")[:3] == (found.position, "ab"[each == 22], found.version)
                for stream in "abc":
                    versions = [each.version for each in other.read(stream)]
                    assert versions == list(range(versions[0], versions[0] + len(versions)))
                assert other.verify() == other.position
        if not came:
            break
    assert not came, "the act has fewer places than that"
    assert nth > 5


# ---------------------------------------------------------------- many at once

OPENER = """
import sys
from evsim import Event, store
for n in range(int(sys.argv[2])):
    sys.stdin.readline()
    with store.open(f"{sys.argv[1]}/{n}.db") as shop:
        shop.append(sys.argv[3], Event(f"{sys.argv[3]}.{n}", "order.placed", n, "shop", {}))
    print("done", flush=True)
"""


def test_several_processes_may_make_a_file_at_the_same_moment(tmp_path):
    files, who = 40, ("ann", "bob", "eve")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    all_of_them = [subprocess.Popen([sys.executable, "-c", OPENER, str(tmp_path), str(files), n], **pipes) for n in who]
    for _ in range(files):
        for each in all_of_them:
            each.stdin.write("\n")
            each.stdin.flush()
        assert [each.stdout.readline() for each in all_of_them] == ["done\n"] * 3, all_of_them[0].stderr
    for each in all_of_them:
        each.communicate(timeout=30)
    for n in range(files):
        with store.open(tmp_path / f"{n}.db") as shop:
            assert shop.verify() == 3
            assert sorted(ids(shop.read_all())) == [f"{name}.{n}" for name in who]


def test_who_died_before_the_indexes_came_leaves_them_to_the_next(tmp_path, monkeypatch):
    with store.open(tmp_path / "shop.db") as shop:
        monkeypatch.setattr(sqlite, "BEHIND", 10**9)
        shop.append("a", events(*range(2000)))
        monkeypatch.undo()
    with store.open(tmp_path / "shop.db") as shop:
        assert shop.append("a", events(*range(2000))).again
        with closing(sqlite3.connect(shop.path)) as db:
            assert not indexes.waiting(db)


def test_an_end_that_is_cut_off_under_an_open_store_is_found(tmp_path):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("a", events(0, 1, 2))
        with closing(sqlite3.connect(shop.path, isolation_level=None)) as thief:
            thief.execute("delete from events where position > 1")
        shop.append("b", event(3))
        with pytest.raises(BadFile, match="breaks at position 2"):
            shop.verify()


# ---------------------------------------------------------------- files that cannot be used


def test_a_disk_that_is_full_says_so_and_goes_on_when_there_is_room(tmp_path):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("a", event(0))
        [(pages,)] = shop._rows("pragma page_count")
        shop._rows(f"pragma max_page_count = {pages + 2}")
        with pytest.raises(EvsimError, match="no room left for"):
            append_tens(shop)
        kept = shop.position
        assert kept == shop.verify()
        shop._rows("pragma max_page_count = 100000")
        assert shop.append("a", event(1)).position == kept + 1


def test_a_lock_that_somebody_keeps_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "WAIT_S", 0.05)
    with store.open(tmp_path / "shop.db") as shop, closing(sqlite3.connect(shop.path, isolation_level=None)) as rival:
        shop.append("a", event(0))
        rival.execute("begin immediate")
        for act in (lambda: shop.append("a", event(1)), lambda: shop.append("a", events(1, 2)), shop.reindex):
            with pytest.raises(EvsimError, match=r"shop\.db is locked by another program"):
                act()
        rival.execute("rollback")
        assert shop.append("a", event(1)).position == 2


def test_a_store_belongs_to_its_thread_and_to_its_life(tmp_path):
    shop, said = store.open(tmp_path / "shop.db"), []

    def other():
        with pytest.raises(EvsimError, match="belongs to the thread") as refused:
            shop.append("a", event(0))
        said.append(refused.value)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert said
    shop.append("a", event(0))
    shop.close()
    for act in (lambda: shop.append("a", event(1)), lambda: list(shop.read("a")), shop.verify):
        with pytest.raises(EvsimError, match="is closed; open it again"):
            act()


def test_a_folder_that_is_not_there_or_is_no_file_is_refused(tmp_path):
    for path in (tmp_path / "no" / "shop.db", tmp_path):
        with pytest.raises(EvsimError, match="opened"):
            store.open(path)


def test_pages_that_are_broken_are_said_to_be(tmp_path):
    with store.open(tmp_path / "shop.db") as shop:
        for start in range(0, 3000, 500):
            shop.append("a", events(*range(start, start + 500)))
    path = tmp_path / "shop.db"
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + b"\xff" * 40_960 + whole[middle + 40_960 :])
    with store.open(path) as shop:
        for act in (lambda: list(shop.read_all()), shop.verify):
            with pytest.raises(BadFile, match=r"damaged|holds no event"):
                act()


# ---------------------------------------------------------------- who changes what finds the events


def changed(path, *crimes):
    with closing(sqlite3.connect(path, isolation_level=None)) as thief:
        for crime in crimes:
            thief.execute(crime)


@pytest.mark.parametrize("column", ["id", "correlation"])
def test_a_column_that_is_not_what_the_event_says_is_found(tmp_path, column):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("a", [event(n, correlation_id="talk") for n in range(4)])
        changed(shop.path, f"update events set {column} = 'zz' where position = 3")
        with pytest.raises(BadFile, match="at position 3 the column id or correlation"):
            shop.verify()


def test_a_column_in_postgresql_too():
    name = new_schema()
    with store.open(server().get_uri(), schema=name) as shop:
        shop.append("a", events(0, 1, 2))
        assert shop.verify() == 3
        shop._asked("update events set correlation = 'zz' where position = 2", ())
        with pytest.raises(BadFile, match="at position 2 the column id or correlation"):
            shop.verify()


def test_a_view_that_hides_an_event_is_found_and_made_anew(tmp_path):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("a", events(0, 1, 2))
        less = "create view by_stream as select position, stream, version, body from events where version <> 1"
        changed(shop.path, "drop view by_stream", less)
        assert ids(shop.read("a")) == ["shop.0", "shop.2"]
        with pytest.raises(BadFile, match="the view by_stream was changed"):
            shop.verify()
        shop.reindex()
        assert ids(shop.read("a")) == ["shop.0", "shop.1", "shop.2"]
        assert shop.verify() == 3


def test_an_index_that_knows_an_id_of_nobody_is_named(tmp_path):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("a", event(0))
        changed(shop.path, "insert into ids values ('shop.1', 7)")
        with pytest.raises(EvsimError, match="do not fit together; verify"):
            shop.append("a", event(1), ANY)
        with pytest.raises(BadFile, match="the table ids was changed"):
            shop.verify()
        shop.reindex()
        assert shop.append("a", event(1)).position == 2


@pytest.mark.parametrize("schema", ["user", "select", "order"])
def test_a_schema_may_be_called_as_a_word_of_sql(schema):
    name = f"{schema}"
    with store.open(server().get_uri(), schema=name) as shop:
        shop.append("a", event(len(schema) + shop.position))
        assert shop.verify() == shop.position


def test_a_schema_that_the_server_keeps_to_itself_is_refused_in_a_sentence():
    with pytest.raises(EvsimError, match="refuses"):
        store.open(server().get_uri(), schema="pg_mine")


def test_a_question_that_takes_too_long_is_not_called_a_lost_server():
    with store.open(server().get_uri(), schema=new_schema()) as shop:
        shop._asked("set statement_timeout = 50", ())
        with pytest.raises(EvsimError, match="has stopped the question"):
            shop._asked("select pg_sleep(5)", ())
        assert shop.append("a", event(0)).position == 1
        with pytest.raises(BadEvent):
            shop.find("\0")
