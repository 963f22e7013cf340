"""Append and replay on SQLite and PostgreSQL, as ratios to the `eventsourcing` library: same machine and durability.

An append is one event in a transaction of its own; a replay is what an aggregate costs to load, an event. SQLite has
WAL, synchronous = NORMAL and pages of the same size for both, PostgreSQL synchronous_commit = on.
"""

from __future__ import annotations

import functools
import itertools
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from evsim import Event, store
from evsim.store.sqlite import PAGE

sys.path.insert(0, str(Path(__file__).parents[1]))
from databases import new_schema, server

pytest.importorskip("eventsourcing", reason="pip install eventsourcing, to compare with")
pytestmark = pytest.mark.benchmark
STREAMS, APPENDS, ROUNDS = 10, 2000, 5
LEAST = 3
"""The ratio that we promise, for each of the four."""
_files = itertools.count()


def ours(kind, path):
    with opened(kind, path) as shop:
        begin = time.perf_counter()
        for n in range(APPENDS):
            shop.append(f"order-{n % STREAMS}", Event(f"shop.{n}", "order.placed", n / 4, "shop", {"amount": n}))
        appended = time.perf_counter()
        total = 0
        for stream in range(STREAMS):
            amount = 0
            for each in shop.read(f"order-{stream}"):
                amount = each.event.data["amount"]
                total += 1
            assert amount == APPENDS - STREAMS + stream
        return (appended - begin) / APPENDS, (time.perf_counter() - appended) / total


def opened(kind, path):
    if kind == "postgres":
        return store.open(server().get_uri(), schema=new_schema())
    return store.open(path / f"ours-{next(_files)}.db")


@functools.cache
def order_of_the_library():
    """An order as an aggregate of the library; it may be defined once."""
    from eventsourcing.domain import Aggregate, event

    class Order(Aggregate):
        def __init__(self) -> None:
            self.amount = 0

        @event("Placed")
        def place(self, amount: int) -> None:
            self.amount = amount

    return Order


def theirs(kind, path, monkeypatch):
    with monkeypatch.context() as patch:
        app = library(kind, path, patch)
        orders = [order_of_the_library()() for _ in range(STREAMS)]
        app.save(*orders)
        begin = time.perf_counter()
        for n in range(APPENDS):
            orders[n % STREAMS].place(n)
            app.save(orders[n % STREAMS])
        appended = time.perf_counter()
        for stream, order in enumerate(orders):
            assert app.repository.get(order.id).amount == APPENDS - STREAMS + stream
        took = (time.perf_counter() - appended) / (APPENDS + STREAMS)
        app.close()
    return (appended - begin) / APPENDS, took


def library(kind, path, patch):
    """An application of the library, with the durability that ours has."""
    from eventsourcing.application import Application

    if kind == "postgres":
        pytest.importorskip("psycopg_pool", reason="the library needs psycopg_pool for PostgreSQL")
        uri = server().get_uri()
        named = {
            "DBNAME": "postgres",
            "HOST": uri.partition("host=")[2],
            "USER": "postgres",
            "PASSWORD": "-",
            "PORT": "",
        }
        own = {"POSTGRES_" + name: value for name, value in named.items()}
        return Application(env={"PERSISTENCE_MODULE": "eventsourcing.postgres"} | own)

    from eventsourcing import sqlite as recorder

    connect = recorder.sqlite3.connect

    def flushed(*args, **named):
        connection = connect(*args, **named)
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    patch.setattr(recorder.sqlite3, "connect", flushed)
    file = str(path / f"theirs-{next(_files)}.db")
    return Application(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": file})


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_store_is_faster_than_the_library(kind, tmp_path, monkeypatch):
    rounds = [(ours(kind, tmp_path), theirs(kind, tmp_path, monkeypatch)) for _ in range(ROUNDS)]
    print(f"\n  {kind}, {ROUNDS} interleaved rounds of {APPENDS} appends, medians")
    for what, act in enumerate(("append", "replay")):
        us, them = (1e6 * median(each[side][what] for each in rounds) for side in (0, 1))
        ratio = median(them[what] / us[what] for us, them in rounds)
        print(f"  {act}   evsim {us:6.1f} µs an event, eventsourcing {them:6.1f} µs; ratio {ratio:.1f}")
        assert ratio >= LEAST


def test_a_million_events_are_replayed_without_holding_them(tmp_path):
    """What is read is let go again: the memory that Python uses at its peak stays under five megabytes."""
    import tracemalloc

    with store.open(tmp_path / "big.db", durability="none") as shop:
        for start in range(0, 1_000_000, 10_000):
            shop.append(
                "log", [Event(f"shop.{n}", "order.placed", n, "shop", {"n": n}) for n in range(start, start + 10_000)]
            )
        begin = time.perf_counter()
        assert sum(1 for _ in shop.read_all()) == 1_000_000
        took = time.perf_counter() - begin
        tracemalloc.start()
        assert sum(1 for _ in itertools.islice(shop.read_all(), 100_000)) == 100_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    print(f"\n  a million events read in {took:.1f} s, {peak / 1e6:.1f} MB at the peak")
    assert peak < 5e6
