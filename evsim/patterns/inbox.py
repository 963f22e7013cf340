"""An inbox: what was done is remembered, so that it is not done again when it comes again.

What makes two messages the same is a choice: their id, the key and type of the business, or what is in them. How long,
and how exactly, one remembers is another. And the third is whether it is written in one act with the state.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from evsim.event import Event, thaw
from evsim.patterns.bloom import Bloom
from evsim.value import Value


class Inbox(Value):
    """How a consumer knows what it has done: ``Consumer(…, inbox=Inbox(ttl_s=300))``; ``inbox=True`` is ``Inbox()``.

    ``key`` is what two messages must have in common to be the same: their ``"id"``, their ``"business"`` key and type
    (without a key: their id), or their ``"content"`` (a hash of type, key and data). A key is forgotten after ``ttl_s``
    (None: never), or when ``capacity`` younger ones are known. With ``bloom_error`` the keys are kept in a Bloom filter
    for ``bloom_keys`` of them, which takes that share of new messages for known ones, and drops them. ``written`` says
    when: ``"with"`` the state in one transaction, where a unique key turns a second one away that came at the same
    time; ``"before"`` the handling; or ``"after"`` everything was sent.
    """

    key: Literal["id", "business", "content"] = "id"
    ttl_s: float | None = Field(None, gt=0)
    capacity: int | None = Field(None, ge=1)
    bloom_error: float | None = Field(None, gt=0, lt=1)
    bloom_keys: int = Field(10_000, ge=1, le=100_000_000)
    written: Literal["with", "before", "after"] = "with"
    unique: bool = True
    kind: Literal["inbox"] = "inbox"

    def key_of(self, event: Event) -> str:
        """What is remembered of an event."""
        if self.key == "id":
            return event.id
        if self.key == "business":
            return event.id if event.key is None else f"{event.type} {event.key}"
        text = json.dumps([event.type, event.key, thaw(event.data)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def missed(self, mean_delay_s: float) -> float:
        """The share of duplicates that come after ``ttl_s``, with exponential delays: e^(−W/m)."""
        return 0.0 if self.ttl_s is None else math.exp(-self.ttl_s / mean_delay_s)


class Memory:
    """The keys that an inbox knows, at a time that ``clock`` tells: ``key in memory``, ``memory.add(key)``."""

    def __init__(self, inbox: Inbox, clock: Callable[[], float]) -> None:
        self._ttl_s = math.inf if inbox.ttl_s is None else inbox.ttl_s
        self._capacity, self._clock = inbox.capacity, clock
        self._known: OrderedDict[str, float] = OrderedDict()
        self._bloom = None if inbox.bloom_error is None else Bloom(inbox.bloom_keys, inbox.bloom_error)

    def __contains__(self, key: str) -> bool:
        if self._bloom is not None:
            return key in self._bloom
        since_s = self._known.get(key)
        return since_s is not None and self._clock() - since_s < self._ttl_s

    def __len__(self) -> int:
        return len(self._known) if self._bloom is None else self._bloom.count

    def add(self, key: str) -> None:
        """Remember a key from now on, and forget what is too old, or one too many."""
        if self._bloom is not None:
            self._bloom.add(key)
            return
        now = self._clock()
        self._known[key] = now
        self._known.move_to_end(key)
        while self._known and now - next(iter(self._known.values())) >= self._ttl_s:
            self._known.popitem(last=False)
        while self._capacity is not None and len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def discard(self, key: str) -> None:
        """Forget a key; a Bloom filter cannot."""
        self._known.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        if self._bloom is not None:
            self._bloom.clear()
