"""Known-bad brokers: each defect must be noticed by a case of the conformance table, which ours passes.

The first six are those of the only other simulator of this kind: it loses committed offsets at a rebalance, never
delivers from its default queue, never redelivers what was not acknowledged, loses messages on redrive, drops events in
a pause, and calls replayed history late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from evsim.lab.conformance import table
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker import endpoint, following, posting
from evsim.sim.broker.channel import Dispatcher, QueueSubscription
from evsim.sim.broker.compaction import Cleaner
from evsim.sim.broker.durable import DurableSubscription
from evsim.sim.broker.exchange import LiveExchange
from evsim.sim.broker.graveyard import Graveyard
from evsim.sim.broker.kept import Kept
from evsim.sim.broker.listeners import Listeners
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import LiveQueue, Queue
from evsim.sim.broker.share import ShareSubscription
from evsim.sim.consumer import Consumer
from evsim.sim.cooperative import CooperativeGroup
from evsim.sim.group import LiveGroup
from evsim.sim.publisher import Publisher
from evsim.sim.sender import Sender
from evsim.sim.worker import LiveWorker
from evsim.view import measures


def replaces(owner, name, act):
    """A mutant in which a method does something else; ``act`` is given the original first."""
    original = getattr(owner, name)

    def mutate(patch):
        def broken(self, *args, **named):
            return act(original, self, *args, **named)

        patch.setattr(owner, name, broken)

    return mutate


def nothing(original, self, *args, **named):
    """It does not do it."""


def forgets_offsets(original, self, assigning):
    self.committed = [0 for _ in self.committed]
    original(self, assigning)


def drops_in_a_pause(original, self, delivery):
    if not self.frozen:
        original(self, delivery)


def to_the_tail(original, self, entry, *, to_the_tail=False):
    original(self, entry, to_the_tail=True)


def in_its_place(original, self, entry, *, to_the_tail=False):
    original(self, entry, to_the_tail=False)


def counts_from_one(original, self, channel, entry):
    entry.attempts = 0
    original(self, channel, entry)


def prefers_the_last(original, self, channel, entry):
    original(self, self.channels[-1], entry)


def forgets_all(original, self, *args):
    self.ready.clear()
    original(self, *args)


def always_new(original, self, event):
    return False


def unknown(original, self, event, now):
    return None


def everything_matches(original, self, subject):
    return True


def every_queue(original, self, event, message):
    return tuple(self.value.bindings)


def survives(original, self, entry):
    return True


def dies(original, self, entry):
    return False


def redrives_nothing(original, self, entry, target, deaths):
    """It is taken out of the queue, and put nowhere."""


def tries_at_once(original, self, copy):
    self._due(copy)


def believes_everything(patch):
    patch.setattr(endpoint, "verify", lambda *given, **named: "id")


def resumes_at_the_end(original, self, connection):
    self.seen = self.sent = self.broker.count
    original(self, connection)


def never_tries_again(original, self, batch):
    self._give_up(batch)


class Case(NamedTuple):
    """A defect, and the ids of the cases of which at least one must notice."""

    name: str
    mutate: Callable
    ids: tuple[str, ...]


def counts_twice(original, self, worker, share, offset):
    share.records[offset].count += 1
    original(self, worker, share, offset)


def is_only_gone(original, self, worker):
    self.gone(worker)


def always(original, self, share, delivery):
    return delivery.number in share.records


def takes_everything(original, self, partition):
    for offset in range(partition.start, partition.end):
        self._clear(partition, offset)


def takes_tombstones(original, self, partition):
    self._tombs[partition.index] = [(0.0, offset) for _, offset in self._tombs.get(partition.index, ())]
    original(self, partition)


def leaves_tombstones(original, self, partition):
    self._tombs[partition.index] = []
    original(self, partition)


def stops_the_world(original, self):
    for member in self._here():
        member.give_up_some({index for index, owner in enumerate(self.owners) if owner is member})
        self.asked[member.name] = {index for index, owner in enumerate(self.owners) if owner is member}
    self._preparing, self._assigning = True, self._assigning + 1
    self._assign_when_ready()


MUTANTS = [
    Case(
        "loses committed offsets at a rebalance", replaces(LiveGroup, "_assign", forgets_offsets), ("log-01", "log-02")
    ),
    Case("never delivers from a queue", replaces(Dispatcher, "deliver", nothing), ("queue-02", "queue-14")),
    Case("never redelivers what was not acked", replaces(QueueSubscription, "gone", nothing), ("queue-01", "queue-29")),
    Case("never redelivers after the ack wait", replaces(DurableSubscription, "_ring", nothing), ("pubsub-02",)),
    Case("loses messages on redrive", replaces(Graveyard, "_publish", redrives_nothing), ("sqs-03", "sqs-04")),
    Case("drops events in a pause", replaces(LiveWorker, "arrive", drops_in_a_pause), ("queue-24",)),
    Case("a classic queue requeues at the tail", replaces(LiveQueue, "give_back", to_the_tail), ("queue-02",)),
    Case("a quorum queue requeues in place", replaces(LiveQueue, "give_back", in_its_place), ("queue-03",)),
    Case(
        "forgets how often it has delivered", replaces(Dispatcher, "_give", counts_from_one), ("queue-04", "queue-12")
    ),
    Case("gives all to one consumer", replaces(Dispatcher, "_give", prefers_the_last), ("queue-07", "queue-14")),
    Case("never times a consumer out", replaces(Dispatcher, "_too_long", nothing), ("queue-23",)),
    Case("never lets a message expire", replaces(LiveQueue, "_rings", nothing), ("queue-05", "queue-31")),
    Case("keeps transient messages", replaces(LiveQueue, "_survives", survives), ("queue-08", "queue-17")),
    Case("loses persistent messages", replaces(LiveQueue, "_survives", dies), ("queue-15", "queue-16")),
    Case("drops dead letters", replaces(Graveyard, "forward", nothing), ("queue-39", "queue-40")),
    Case("invisible for ever", replaces(Dispatcher, "_reappears", nothing), ("sqs-01", "sqs-03")),
    Case("a FIFO queue does not deduplicate", replaces(LiveQueue, "_knows", always_new), ("sqs-06",)),
    Case(
        "an exchange routes to every queue", replaces(LiveExchange, "_matching", every_queue), ("queue-09", "queue-47")
    ),
    Case("a stream does not deduplicate", replaces(Kept, "_recall", unknown), ("pubsub-04",)),
    Case("everybody hears every subject", replaces(Listeners, "wants", everything_matches), ("pubsub-08", "pubsub-09")),
    Case(
        "a webhook is tried again at once",
        replaces(posting.Posting, "_plan", tries_at_once),
        ("webhook-01", "webhook-06"),
    ),
    Case("a webhook is never disabled", replaces(posting.Posting, "_disable", nothing), ("webhook-09", "webhook-12")),
    Case("a webhook believes everything", believes_everything, ("webhook-02", "webhook-03")),
    Case("a client resumes at the end", replaces(following.Following, "_connect", resumes_at_the_end), ("stream-02",)),
    Case("a producer never tries again", replaces(Sender, "_try_again", never_tries_again), ("log-07", "log-08")),
    Case("a share group counts deliveries twice", replaces(ShareSubscription, "_give", counts_twice), ("log-51",)),
    Case("a lock never runs out", replaces(ShareSubscription, "_ring", nothing), ("log-53",)),
    Case("a late acceptance counts", replaces(ShareSubscription, "_has", always), ("log-54",)),
    Case("who closes keeps its records", replaces(ShareSubscription, "left", is_only_gone), ("log-55",)),
    Case("compaction takes everything", replaces(Cleaner, "_forget", takes_everything), ("log-40",)),
    Case("a tombstone goes at once", replaces(Cleaner, "_forget", takes_tombstones), ("log-43",)),
    Case("a tombstone never goes", replaces(Cleaner, "_forget", leaves_tombstones), ("log-44",)),
    Case("cooperative members stop all", replaces(CooperativeGroup, "rebalance", stops_the_world), ("log-61",)),
    Case("a producer never gives up", replaces(Sender, "_give_up", nothing), ("log-24",)),
]


def noticed(case):
    """The cases that notice: those that are VIOLATED, or that cannot be played at all."""
    found = []
    for name in case.ids:
        [play] = table.cases(id=name)
        try:
            held = play.verdict().ok
        except Exception:
            held = False
        if not held:
            found.append(name)
    return found


@pytest.mark.parametrize("case", MUTANTS, ids=lambda case: case.name.replace(" ", "-"))
def test_the_table_catches_the_mutant(case, monkeypatch):
    assert noticed(case) == [], "ours passes"
    case.mutate(monkeypatch)
    assert noticed(case)


# ---------------------------------------------------------------- the sixth: replayed history is not late


@pytest.mark.parametrize("broker", [Log("tasks"), Queue("tasks")], ids=lambda broker: broker.kind)
def test_replayed_history_that_is_called_late_is_noticed(broker, monkeypatch):
    shop = Publisher("shop", to="tasks", replay="orders", speed=1000.0, count=30)
    history = Scenario(shop, broker, Consumer("worker", of="tasks", service_s=Constant(0.01))).run(600, 1).history

    def latest():
        return max(measures.latencies(history))

    assert latest() < 5
    between = measures._between

    def late(*args, **named):
        found = between(*args, **named)
        return found + 86_400.0 * 365

    monkeypatch.setattr(measures, "_between", late)
    assert latest() > 5
