"""A desk: inbox, state and outbox in one SQLite file, killed wherever it can be killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evsim as ev
from evsim import BadFile, BadScenario, Event
from evsim.store import Desk

PLACED = [Event(f"shop.{n}", "order.placed", float(n), "shop", {"amount": n}, key=f"order-{n}") for n in range(1, 6)]


class PowerCut(BaseException):
    """Nobody catches it by accident."""


def pay(event, ctx):
    ctx.state[event.key] = ctx.state.get(event.key, 0) + 1
    ctx.state.setdefault("journal", []).append(event.id)
    ctx.emit("order.paid", {"amount": event.data["amount"]})


def ship(event, ctx):
    ctx.state[event.key] = ctx.state.get(event.key, 0) + 1


def desk(path=None, **settings):
    return Desk(path, "payment", **({"on": {"order.placed": pay}} | settings))


def test_state_inbox_and_outbox_change_together_and_once(tmp_path):
    one = desk(tmp_path / "payment.db")
    assert [one.handle(event) for event in [*PLACED, *PLACED]] == [True] * 5 + [False] * 5
    one.close()
    again = desk(tmp_path / "payment.db")
    assert not again.handle(PLACED[0])
    assert again.state == {f"order-{n}": 1 for n in range(1, 6)} | {"journal": [event.id for event in PLACED]}
    heard = []
    assert (again.send(heard.append), again.send(heard.append)) == (5, 0)
    assert [(event.id, event.key, event.causation_id) for event in heard] == [
        (f"payment:shop.{n}", f"order-{n}", f"shop.{n}") for n in range(1, 6)
    ]


def test_a_handler_that_fails_has_changed_nothing():
    def fails(event, ctx):
        ctx.state["half"] = True
        ctx.emit("order.paid")
        raise RuntimeError("no")

    one = desk(on={"order.placed": fails})
    for _ in range(2):
        with pytest.raises(RuntimeError):
            one.handle(PLACED[0])
    assert (one.state, one.rows(), one.remembered) == ({}, [], 0)


def test_the_handlers_of_the_simulator_do_the_same_here():
    run = ev.Scenario(
        ev.Publisher("shop", to="orders", rate=2, count=20), ev.Log("orders"), ev.Log("paid"),
        ev.Consumer("payment", of="orders", to="paid", on={"order.placed": ship}, inbox=True, outbox=True),
        ev.Duplicate("shop", "orders", share=0.5),
    ).run(until_s=30, seed=1)  # fmt: skip
    one = desk(on={"order.placed": ship})
    history = run.history
    for record in history.of(("handled", "skipped"), node="payment"):
        one.handle(history.event_at(history.index(record.event_id)))
    assert one.state == {f"order-{n}": 1 for n in range(1, 21)}


# ---------------------------------------------------------------- from end to end


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wherever_it_dies_every_order_is_shipped_once(data):
    """Deliveries are repeated until one comes to its end; each act may be the last one of the process."""
    cuts = data.draw(st.lists(st.integers(0, 25), max_size=6, unique=True))
    done = [0]

    def cut(*_):
        done[0] += 1
        if done[0] in cuts:
            raise PowerCut

    def dying(event, ctx):
        cut()
        pay(event, ctx)
        cut()

    payment = desk(on={"order.placed": dying})
    shipping = Desk(None, "shipping", on={"order.paid": ship})
    bus = []

    def publish(event):
        cut()
        bus.append(event)
        cut()

    for event in PLACED:
        until_it_lives(lambda event=event: payment.handle(event))
    until_it_lives(lambda: payment.send(publish))
    for event in [*bus, *bus]:
        shipping.handle(event)
    assert shipping.state == {f"order-{n}": 1 for n in range(1, 6)}
    assert list(dict.fromkeys(event.key for event in bus)) == [event.key for event in PLACED]


def until_it_lives(act):
    while True:
        try:
            return act()
        except PowerCut:
            continue


@pytest.mark.parametrize(("written", "state", "rows"), [("with", 1, 1), ("before", None, 0), ("after", 2, 2)])
def test_when_the_inbox_is_written_decides_what_a_crash_costs(written, state, rows, monkeypatch):
    """Killed before the state is saved, or just after: with, before and after differ as in the simulator."""
    one = desk(inbox=ev.Inbox(written=written))
    remember, calls = Desk._remember, []

    def dying(self, inbox, event):
        calls.append(1)
        if inbox is not None and written == "after":
            monkeypatch.setattr(Desk, "_remember", remember)
            raise PowerCut
        remember(self, inbox, event)
        if inbox is not None:
            monkeypatch.setattr(Desk, "_remember", remember)
            raise PowerCut

    monkeypatch.setattr(Desk, "_remember", dying)
    with pytest.raises(PowerCut):
        one.handle(PLACED[0])
    one.handle(PLACED[0])
    assert (one.state.get("order-1"), len(one.rows())) == (state, rows)


@pytest.mark.parametrize("step", ["in the handler", "before commit", "in publish", "after publish"])
def test_a_process_that_is_killed_loses_nothing_and_does_nothing_twice(tmp_path, step):
    """A real process and a real file: exit without any goodbye, and another process goes on."""
    program = """
import os, sys
from evsim import Event
from evsim.store import Desk
step, path, heard = sys.argv[1:]
def pay(event, ctx):
    ctx.state[event.key] = ctx.state.get(event.key, 0) + 1
    ctx.emit("order.paid")
    if step == "in the handler" and event.id == "shop.3": os._exit(9)
def publish(event):
    if step == "in publish" and event.key == "order-3": os._exit(9)
    with open(heard, "a") as file: file.write(event.id + chr(10))
    if step == "after publish" and event.key == "order-3": os._exit(9)
desk = Desk(path, "payment", on={"order.placed": pay})
if step == "before commit":
    desk._remember = lambda inbox, event: os._exit(9)
for n in range(1, 6):
    desk.handle(Event(f"shop.{n}", "order.placed", 0.0, "shop", {}, key=f"order-{n}"))
desk.send(publish)
"""
    path, heard = tmp_path / "payment.db", tmp_path / "heard"
    for now in (step, "never"):
        ended = subprocess.run([sys.executable, "-c", program, now, str(path), str(heard)], check=False)
        assert ended.returncode == (9 if now == step else 0)
    assert desk(path).state == {f"order-{n}": 1 for n in range(1, 6)}
    ids = heard.read_text().split()
    assert sorted(set(ids)) == [f"payment:shop.{n}" for n in range(1, 6)]
    assert len(ids) - len(set(ids)) == (1 if step == "after publish" else 0)


def test_a_relay_that_marks_before_loses_the_one_in_its_hand():
    one = desk()
    for event in PLACED:
        one.handle(event)
    heard = []

    def publish(event):
        if event.key == "order-2" and not heard[1:]:
            raise PowerCut
        heard.append(event)

    with pytest.raises(PowerCut):
        one.send(publish, mark="before")
    one.send(heard.append, mark="before")
    assert [event.key for event in heard] == ["order-1", "order-3", "order-4", "order-5"]


def test_two_at_once_pass_a_check_and_not_a_unique_key(tmp_path):
    """Two threads with the same message: both look before either writes."""
    for unique, expected in ((False, 2), (True, 1)):
        path, both, charged = tmp_path / f"{unique}.db", threading.Barrier(2, timeout=5), []

        def charge(event, ctx, both=both, charged=charged, unique=unique):
            if not unique:
                both.wait()
            charged.append(event.id)

        def work(path=path, charge=charge, unique=unique):
            Desk(path, "payment", on={"order.placed": charge}, inbox=ev.Inbox(unique=unique)).handle(PLACED[0])

        Desk(path, "payment", on={}).close()
        threads = [threading.Thread(target=work) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(charged) == expected


# ---------------------------------------------------------------- forgetting and cleaning


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), max_size=30), st.sampled_from([3, 20, None]),
    st.sampled_from([None, 2]),
)  # fmt: skip
def test_the_table_forgets_what_the_memory_of_the_simulator_forgets(coming, ttl_s, capacity):
    from evsim.patterns.inbox import Memory

    now, inbox = [0.0], ev.Inbox(ttl_s=ttl_s, capacity=capacity)
    memory = Memory(inbox, lambda: now[0])
    one = desk(inbox=inbox, clock=lambda: now[0])
    for n, gap_s in coming:
        now[0] += gap_s
        known = PLACED[n].id in memory
        if not known:
            memory.add(PLACED[n].id)
        assert one.handle(PLACED[n]) is not known
    assert one.remembered == len(memory)


def test_a_tail_reads_each_row_once_and_old_rows_are_cleaned_away():
    now = [0.0]
    one = desk(clock=lambda: now[0])
    one.handle(PLACED[0])
    now[0] = 10.0
    one.handle(PLACED[1])
    assert [row.number for row in one.rows()] == [1, 2]
    assert [row.event.key for row in one.rows(after=1)] == ["order-2"]
    assert one.clean() == 0, "what was not sent stays"
    one.send(lambda event: None)
    assert one.clean(older_s=5) == 1
    assert [row.number for row in one.rows()] == [2]
    one.handle(PLACED[2])
    assert one.clean(up_to=3) == 2
    one.handle(PLACED[3])
    assert [row.number for row in one.rows()] == [4], "a number is never used again"


def test_tables_of_ones_own_change_in_the_same_transaction():
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("create table orders (id text primary key, paid real)")

    def pays(event, ctx):
        db.execute("insert into orders values (?, ?)", [event.key, event.data["amount"]])
        if event.key == "order-2":
            raise PowerCut

    one = Desk(db, "payment", on={"order.placed": pays})
    one.handle(PLACED[0])
    with pytest.raises(PowerCut):
        one.handle(PLACED[1])
    assert db.execute("select * from orders").fetchall() == [("order-1", 1.0)]


def test_what_cannot_be_is_refused(tmp_path):
    async def waits(event, ctx):
        pass

    with pytest.raises(BadScenario, match="a transaction must not"):
        desk(on={"order.placed": waits})
    with pytest.raises(BadScenario, match="lives in memory"):
        desk(inbox=ev.Inbox(bloom_error=0.1))
    with pytest.raises(BadScenario, match="isolation_level=None"):
        desk(sqlite3.connect(":memory:"))
    with pytest.raises(BadScenario, match="expected 'after' or 'before'"):
        desk().send(print, mark="never")
    (tmp_path / "text").write_text("no database, but long enough to be read as one" * 20)
    with pytest.raises(BadFile, match="cannot be a desk"):
        desk(tmp_path / "text")
