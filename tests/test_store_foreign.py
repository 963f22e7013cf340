"""Files of the eventsourcing library, written by that library and read by us; and a store as a history."""

from __future__ import annotations

import sqlite3
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from evsim import BadFile, Event, store
from evsim.store import history_of, read_eventsourcing


@pytest.fixture(scope="module")
def library():
    """Two aggregates of the library: an order, and a wallet with an event class of an unusual name."""
    pytest.importorskip("eventsourcing", reason="pip install eventsourcing, to read what it writes")
    from eventsourcing.domain import Aggregate, event

    class CustomerOrder(Aggregate):
        def __init__(self, customer: str) -> None:
            self.customer = customer

        @event("ItemAdded")
        def add(self, amount: int, when: datetime, price: Decimal, ids: list) -> None:
            self.amount = amount

        @event("Placed")
        def place(self) -> None: ...

    class Wallet(Aggregate):
        @event("TopUp")
        def top_up(self, cents: int) -> None: ...

    return CustomerOrder, Wallet


@pytest.fixture
def file(library, tmp_path):
    return written(library, tmp_path)


def written(library, tmp_path, **more):
    from eventsourcing.application import Application

    order, wallet = (each("ann") if each.__name__ == "CustomerOrder" else each() for each in library)
    path = tmp_path / "library.db"
    app = Application(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)} | more)
    order.add(3, datetime(2026, 5, 1, tzinfo=UTC), Decimal("3.50"), [uuid.UUID(int=7)])
    app.save(order)
    wallet.top_up(500)
    app.save(wallet)
    order.place()
    app.save(order)
    app.close()
    return path


def test_the_librarys_events_come_in_its_order_and_in_our_words(file):
    shop = store.open()
    assert read_eventsourcing(shop, file) == 5
    found = list(shop.read_all())
    assert [each.event.type for each in found] == [
        "customer_order.created", "item.added", "wallet.created", "wallet.top_up_recorded", "customer_order.placed",
    ]  # fmt: skip
    orders = [each for each in found if each.stream.startswith("customer_order-")]
    assert [each.version for each in orders] == [0, 1, 2]
    assert orders[0].event.data == {"customer": "ann"}
    assert orders[1].event.data == {
        "amount": 3, "when": "2026-05-01T00:00:00+00:00", "price": "3.50", "ids": (uuid.UUID(int=7).hex,),
    }  # fmt: skip
    assert all(
        abs(each.event.timestamp - Event("a", "b.made", datetime.now(UTC), "s", {}).timestamp) < 600 for each in found
    )
    assert len({each.event.key for each in orders}) == 1


def test_what_was_read_before_is_taken_once(file, tmp_path):
    with store.open(tmp_path / "ours.db") as shop:
        assert read_eventsourcing(shop, file) == read_eventsourcing(shop, file) == 5
        assert shop.position == shop.verify() == 5


def test_a_file_to_which_the_library_has_added_gives_only_what_is_new(file, tmp_path):
    early, shop = tmp_path / "early.db", store.open()
    early.write_bytes(file.read_bytes())
    run(early, "delete from stored_events where rowid > 3")
    assert (read_eventsourcing(shop, early), shop.position) == (3, 3)
    assert (read_eventsourcing(shop, file), shop.position) == (5, 5)
    assert [each.event for each in shop.read_all()][3:] == [found.event for found in everything(file)][3:]


def everything(file):
    fresh = store.open()
    read_eventsourcing(fresh, file)
    return fresh.read_all()


def run(file, script):
    with sqlite3.connect(file) as db:
        db.executescript(script)
    db.close()


def test_a_story_can_be_told_of_it(file):
    shop = store.open()
    read_eventsourcing(shop, file)
    history = history_of(shop)
    assert len(history.of("stored")) == len(history.of("published")) == 5
    order = next(each.event.key for each in shop.read_category("customer_order"))
    assert "item.added" in history.story(order)


def test_the_clock_of_a_history_does_not_go_back():
    shop = store.open()
    for n, timestamp in enumerate([100.0, 90.0, 130.0]):
        shop.append("order-1", Event(f"shop.{n}", "order.placed", timestamp, "shop", {}))
    history = history_of(shop)
    assert history.of("stored").time.tolist() == [0.0, 0.0, 30.0]
    assert history.of("stored").number.tolist() == [0, 1, 2]


def test_what_is_compressed_is_refused_and_nothing_is_appended(library, tmp_path):
    file = written(library, tmp_path, COMPRESSOR_TOPIC="eventsourcing.compressor:ZlibCompressor")
    shop = store.open()
    with pytest.raises(BadFile, match="neither compressed nor encrypted"):
        read_eventsourcing(shop, file)
    assert shop.position == 0


@pytest.mark.parametrize(
    "crime",
    [
        "update stored_events set state = '{}' where rowid = 4",
        "update stored_events set state = '[]' where rowid = 4",
        "update stored_events set state = null where rowid = 4",
        "update stored_events set state = zeroblob(2000000) where rowid = 4",
        "update stored_events set originator_version = 'x' || char(7) where rowid = 4",
    ],
)
def test_a_row_that_is_wrong_is_named_and_nothing_is_appended(file, crime):
    run(file, crime)
    shop = store.open()
    with pytest.raises(BadFile, match="cannot be read"):
        read_eventsourcing(shop, file)
    assert shop.position == 0


LOOSE = """
    create table loose as select * from stored_events order by rowid;
    drop table stored_events;
    alter table loose rename to stored_events;
"""
UNORDERED = """
    create table unordered (originator_id text, originator_version integer, topic text, state blob,
        primary key (originator_id, originator_version)) without rowid;
    insert into unordered select * from stored_events;
    drop table stored_events;
    alter table unordered rename to stored_events;
"""


@pytest.mark.parametrize(
    ("crime", "said"),
    [
        (LOOSE + "insert into stored_events select * from stored_events where rowid = 1", "stands twice in the file"),
        ("update stored_events set originator_id = 'a' || char(8203) where rowid = 4", "no name of a stream"),
        ("update stored_events set originator_id = printf('%0195d', 1) where rowid = 4", "no name of a stream"),
        ("update stored_events set originator_id = 'mine', originator_version = 1 where rowid = 4", "is taken"),
        (
            f"""update stored_events set state = '{{"x": {"[" * 500}{"]" * 500}}}' where rowid = 4""",
            "cannot be read .*nested deeper than 32 levels",
        ),
        (UNORDERED, "no such column: rowid.*the order of all events"),
    ],
)
def test_what_the_store_would_refuse_halfway_is_refused_before(file, crime, said):
    run(file, crime)
    shop = store.open()
    shop.append("order-1", Event("mine.1", "order.placed", 0, "shop", {}))
    with pytest.raises(BadFile, match=said):
        read_eventsourcing(shop, file)
    assert shop.position == 1


def test_other_files_are_refused(tmp_path):
    shop = store.open()
    with pytest.raises(BadFile, match="there is no file"):
        read_eventsourcing(shop, tmp_path / "none.db")
    (tmp_path / "notes.txt").write_text("milk and bread" * 100)
    with pytest.raises(BadFile, match="expected a SQLite file of the eventsourcing library"):
        read_eventsourcing(shop, tmp_path / "notes.txt")
    store.open(tmp_path / "ours.db").close()
    with pytest.raises(BadFile, match="expected a SQLite file of the eventsourcing library"):
        read_eventsourcing(shop, tmp_path / "ours.db")
