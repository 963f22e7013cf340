"""What is special about a store in PostgreSQL: servers that die, schemas of others, addresses that are wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice

import psutil
import pytest
from databases import new_schema, new_server, server

from evsim import BadEvent, BadFile, Event, EvsimError, store

psycopg = pytest.importorskip("psycopg", reason='pip install "evsim[postgres]"')


def event(n):
    return Event(f"shop.{n}", "order.placed", n / 4, "shop", {"n": n})


def opened(**more):
    return store.open(server().get_uri(), **more)


def test_two_schemas_are_two_stores():
    names = new_schema(), new_schema()
    for n, name in enumerate(names):
        with opened(schema=name) as shop:
            shop.append("order-1", [event(k) for k in range(n + 1)])
    for n, name in enumerate(names):
        with opened(schema=name) as shop:
            assert shop.position == n + 1


def test_a_schema_of_somebody_else_is_left_alone():
    name = new_schema()
    with psycopg.connect(server().get_uri(), autocommit=True) as db:
        db.execute(f"create schema {name}")
        db.execute(f"create table {name}.events (x integer)")
        with pytest.raises(BadFile, match="holds something else"):
            opened(schema=name)
        assert db.execute(f"select count(*) from {name}.events").fetchone() == (0,)


@pytest.mark.parametrize("name", ["", "a b", 'x"; drop schema public; --', "1a", "a" * 61])
def test_a_name_that_is_none_for_a_schema_is_refused(name):
    with pytest.raises(BadFile, match="no name for a schema"):
        opened(schema=name)


def test_a_schema_without_a_database_is_refused(tmp_path):
    with pytest.raises(BadFile, match="belongs to a store in PostgreSQL"):
        store.open(tmp_path / "shop.db", schema="shop")


def test_an_address_where_nobody_answers_is_refused_in_one_sentence():
    with pytest.raises(BadFile, match="no PostgreSQL answers there") as caught:
        store.open("postgresql://ann:secret@127.0.0.1:1/shop")
    assert "secret" not in str(caught.value)


def test_a_durability_that_nobody_knows_is_refused():
    with pytest.raises(BadFile, match="expected none, flush or sync"):
        opened(durability="always", schema=new_schema())


@pytest.mark.parametrize(("durability", "setting"), [("none", "off"), ("flush", "on"), ("sync", "on")])
def test_the_durability_is_what_the_server_is_told(durability, setting):
    with opened(durability=durability, schema=new_schema()) as shop:
        assert shop._rows("show synchronous_commit") == [(setting,)]


def test_who_changes_a_row_is_found_out():
    name = new_schema()
    with opened(schema=name) as shop:
        shop.append("order-1", [event(1), event(2), event(3)])
        with psycopg.connect(server().get_uri(), autocommit=True) as db:
            db.execute(f"update {name}.events set body = replace(body, '2', '9') where position = 2")
        with pytest.raises(BadFile, match="breaks at position 2"):
            shop.verify()


def test_the_table_can_be_read_with_sql():
    name = new_schema()
    with opened(schema=name) as shop:
        shop.append("order-1", event(2))
        row = shop._rows("select stream, type, extract(epoch from timestamp), data ->> 'n' from readable")[0]
    assert row == ("order-1", "order.placed", 1767225600.5, "2")


def test_a_connection_that_is_cut_says_so_and_the_append_can_be_said_again():
    name = new_schema()
    shop = opened(schema=name)
    shop.append("order-1", event(1))
    [(process,)] = shop._rows("select pg_backend_pid()")
    with psycopg.connect(server().get_uri(), autocommit=True) as db:
        db.execute("select pg_terminate_backend(%s)", (process,))
    with pytest.raises(EvsimError, match=r"hung up.*open the store again"):
        shop.append("order-1", event(2))
    shop.close()
    with opened(schema=name) as again:
        assert again.append("order-1", event(1)).again
        assert again.append("order-1", event(2)).version == 1


def test_half_of_an_append_that_is_there_already_is_refused():
    with opened(schema=new_schema()) as shop:
        shop.append("order-1", [event(1), event(2)])
        assert shop.append("order-1", [event(1), event(2)]).again
        assert shop.append("order-1", event(2)).again
        for some in ([event(2), event(3)], [event(2), event(1)], [Event("shop.1", "order.placed", 0, "shop", {})]):
            with pytest.raises(BadEvent, match="is taken by another event"):
                shop.append("order-1", some)
        with pytest.raises(BadEvent, match=r"'shop\.1' is taken"):
            shop.append("order-2", event(1))
        assert shop.position == 2


WRITER = """
import sys
from evsim import Event, store
shop = store.open(sys.argv[1], schema=sys.argv[2], durability="sync")
for n in range(100_000):
    shop.append("hot", [Event(f"{sys.argv[3]}.{n}-{k}", "order.placed", n, "shop", {}) for k in (1, 2, 3)])
    print(n, flush=True)
"""


def test_a_server_that_crashes_loses_nothing_acknowledged():
    """Three times the whole server is stopped without a checkpoint while a client appends (recovery from its log)."""
    own, told = new_server(), 0
    url, name = own.get_uri(), new_schema()
    for life in range(3):
        process = psutil.Process(own.get_pid())
        line = [sys.executable, "-c", WRITER, url, name, f"life{life}"]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as client:
            seen = list(islice(client.stdout, 20 + 30 * life))
            os.kill(own.get_pid(), signal.SIGQUIT)  # an immediate shutdown: no checkpoint, nothing is tidied up
            seen += client.stdout.readlines()
        told += sum(line.endswith("\n") for line in seen)
        psutil.wait_procs([process], timeout=20)
        own.ensure_postgres_running()
        with store.open(own.get_uri(), schema=name) as shop:
            kept = sum(1 for _ in shop.read_all())
            assert kept % 3 == 0
            assert kept // 3 >= told
            assert shop.verify() == kept
        told = kept // 3
    own.cleanup()
