"""The event store as a part: time, conflicts between writers, and what a crash takes at each durability."""

from __future__ import annotations

from evsim.laws import Constant
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.event_store import EventStore
from evsim.sim.publisher import Publisher
from evsim.sim.world import World
from evsim.store import NONE


def till(*parts, until_s=60.0, seed=7):
    """Run these parts and give their world."""
    world = World(seed=seed)
    world.build(parts)
    world.run(until=until_s)
    world.close()
    return world


async def pay(event, ctx):
    """Append one event to the stream of the account, whatever is there."""
    await ctx.append("store", "account-7", ("money.withdrawn", {"amount": 5}))


def bank(handler, *faults, until_s=60.0, seed=7, store=None, count=10, gap_s=1.0, members=1, **more):
    """Commands at a fixed pace, handled with an event store; its world."""
    return till(
        Publisher("bank", to="commands", gap_s=Constant(gap_s), count=count, type="withdraw.money"),
        Queue("commands"),
        Consumer("accounts", of="commands", on={"withdraw.money": handler}, members=members, prefetch=1, **more),
        store or EventStore("store"),
        *faults,
        until_s=until_s, seed=seed,
    )  # fmt: skip


def test_a_handler_reads_what_handlers_have_appended():
    seen = []

    async def count(event, ctx):
        found = await ctx.read("store", "account-7")
        seen.append(([each.event.data["n"] for each in found], found.version))
        await ctx.append("store", "account-7", ("money.withdrawn", {"n": len(found)}), expected=found.version)

    bank(count, count=3)
    assert seen == [([], NONE), ([0], 0), ([0, 1], 1)]
