"""Histories written by hand, for those who test figures: a queue with a crash, and the odd ones out."""

from __future__ import annotations

import numpy as np

from evsim.event import Event
from evsim.history import History

PARTS = {"shop": "shop", "orders": "orders", "billing": "billing"}


def parts_of(partitions=3, members=3, rate=20.0, names=PARTS):
    shop, orders, billing = names["shop"], names["orders"], names["billing"]
    return {
        shop: {"kind": "publisher", "name": shop, "to": orders, "rate": rate, "type": "order.placed"},
        orders: {"kind": "log", "name": orders, "partitions": partitions},
        billing: {
            "kind": "consumer",
            "name": billing,
            "of": orders,
            "members": members,
            "service_s": {"mean": 0.03, "kind": "exponential"},
        },
    }


class Writer:
    """Writes rows in any order; ``history`` sorts them by time."""

    def __init__(self, partitions=3, members=3, names=PARTS, seed=7):
        self.names, self.rows, self.events, self.seed = names, [], [], seed
        self.partitions, self.members = partitions, members

    def member(self, number):
        billing = self.names["billing"]
        return billing if self.members == 1 else f"{billing}-{number}"

    def event(self, time):
        shop, number = self.names["shop"], len(self.events)
        self.events.append(Event(f"{shop}.{number}", "order.placed", time, shop, {}, key=f"order-{number}"))
        return number

    def row(self, time, step, node, place="", event=-1, number=0):
        self.rows.append((time, len(self.rows), step, node, place, event, number))

    def place(self, partition):
        return f"{self.names['orders']}/{partition}"

    def history(self, until_s=60.0):
        history = History()
        for event in self.events:
            history.add(event)
        history.record(0.0, history.code("started", "run"))
        for time, _, step, node, place, event, number in sorted(self.rows):
            if time <= until_s:
                history.record(time, history.code(step, node, place), event, number)
        history.record(until_s, history.code("stopped", "run"))
        history.parts.update(parts_of(self.partitions, self.members, names=self.names))
        history.meta.update(seed=self.seed, until_s=until_s)
        return history


def shop(seed=7, until_s=60.0, rate=20.0, service_s=0.03, partitions=3, members=3, crash=None, names=PARTS):
    """Publishers, partitions, members that own partitions in turn; ``crash=(member, at_s, down_s)``."""
    luck, write = np.random.default_rng(seed), Writer(partitions, members, names, seed)
    owner = [1 + partition % members for partition in range(partitions)]
    free, offsets = dict.fromkeys(range(1, members + 1), 0.0), [0] * partitions
    for member in free:
        write.row(0.0, "joined", write.member(member), names["orders"])
    for partition, member in enumerate(owner):
        write.row(0.0, "assigned", write.member(member), write.place(partition), number=1)
    if crash is not None:
        who, at_s, down_s = crash
        write.row(at_s, "crashed", write.member(who))
        write.row(at_s + down_s, "restarted", write.member(who))
    time = 0.0
    while (time := time + luck.exponential(1 / rate)) < until_s:
        event, partition = write.event(time), int(luck.integers(partitions))
        member, place, offset = write.member(owner[partition]), write.place(partition), offsets[partition]
        offsets[partition] += 1
        write.row(time, "published", names["shop"], names["orders"], event)
        write.row(time + 0.004, "stored", names["orders"], place, event, offset)
        begin, length = max(time + 0.006, free[owner[partition]]), luck.exponential(service_s)
        if crash is not None and owner[partition] == who and begin < at_s + down_s and begin + length > at_s:
            if begin < at_s:
                write.row(begin, "delivered", member, place, event, offset)
            begin = at_s + down_s + 0.001 if begin < at_s else max(begin, at_s + down_s + 0.001)
        free[owner[partition]] = begin + length
        write.row(begin, "delivered", member, place, event, offset)
        write.row(begin + length, "handled", member, place, event, offset)
        write.row(begin + length, "acked", member, place, event, offset)
    return write.history(until_s)


def chain(count=3, until_s=10.0):
    """A client that asks a service which asks a service; the second is refused."""
    write = Writer()
    for number in range(count):
        time = 1.0 + number
        event = write.event(time)
        write.row(time, "published", "shop", "payment", event)
        write.row(time, "called", "payment", "shop", event)
        write.row(time + 0.02, "refused" if number == 1 else "called", "stock", "payment", event)
        if number == 1:
            write.row(time + 0.02, "failed", "payment", "shop", event)
            write.row(time + 0.02, "failed", "shop", "payment", event)
            continue
        write.row(time + 0.05, "answered", "stock", "payment", event)
        write.row(time + 0.05, "answered", "payment", "shop", event)
        write.row(time + 0.05, "handled", "shop", "payment", event)
    history = write.history(until_s)
    history.parts.clear()
    history.parts.update(
        shop={"kind": "publisher", "name": "shop", "to": "payment", "rate": 1.0},
        payment={"kind": "service", "name": "payment", "calls": ["stock"], "availability": 1.0},
        stock={"kind": "service", "name": "stock", "calls": [], "availability": 0.9},
    )
    return history


def nothing():
    """Parts, and no event at all."""
    return Writer().history(10.0)


def one_event():
    """A single event that passes all steps."""
    write = Writer(1, 1)
    write.row(0.0, "joined", "billing", "orders")
    write.row(0.0, "assigned", "billing", "orders/0", number=1)
    event = write.event(1.0)
    for time, step, node, place in (
        (1.0, "published", "shop", "orders"),
        (1.1, "stored", "orders", "orders/0"),
        (1.2, "delivered", "billing", "orders/0"),
        (1.4, "handled", "billing", "orders/0"),
        (1.4, "acked", "billing", "orders/0"),
    ):
        write.row(time, step, node, place, event)
    return write.history(10.0)


def all_lost(count=20):
    """Every event is dropped on its way to the log."""
    write = Writer()
    for number in range(count):
        event = write.event(0.5 * number)
        write.row(0.5 * number, "published", "shop", "orders", event)
        write.row(0.5 * number, "dropped", "shop>orders", "", event)
    return write.history(10.0)


def all_alike(count=50, latency_s=0.25):
    """Every event takes exactly as long."""
    write = Writer(1, 1)
    for number in range(count):
        time = 1.0 + number
        event = write.event(time)
        write.row(time, "published", "shop", "orders", event)
        write.row(time, "stored", "orders", "orders/0", event, number)
        write.row(time, "delivered", "billing", "orders/0", event, number)
        write.row(time + latency_s, "handled", "billing", "orders/0", event, number)
        write.row(time + latency_s, "acked", "billing", "orders/0", event, number)
    return write.history(60.0)


def one_partition():
    """One member, one partition."""
    return shop(partitions=1, members=1, until_s=30.0)


def twenty_partitions():
    """Twenty partitions for four members with long names, one of which crashes."""
    long = {
        "shop": "a-shop-with-a-long-name",
        "orders": "orders-of-the-wide-world",
        "billing": "billing-of-all-the-world",
    }
    return shop(partitions=20, members=4, rate=60.0, crash=(2, 20.0, 8.0), names=long)


def crashed():
    """The one to look at: three partitions, three members, a crash of the second."""
    return shop(rate=40.0, service_s=0.05, crash=(2, 20.0, 12.0))


ODD = (nothing, one_event, all_lost, all_alike)
USUAL = (crashed, one_partition, twenty_partitions, chain)
