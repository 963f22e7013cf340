"""What a publisher may ask of its broker: which settings of a producer fit together, and the fix when they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evsim.sim.publisher import Publisher

IN_FLIGHT_MOST = 5
"""A broker remembers so many batches of each idempotent producer, and so many may be in flight (Kafka)."""


def needs_producer(value: Publisher) -> bool:
    """Whether anything is asked that takes more than sending and forgetting."""
    return (
        value.acks != "none"
        or value.linger_s > 0
        or value.batch_events is not None
        or value.buffer_events is not None
        or value.transaction_events is not None
    )


def is_idempotent(value: Publisher) -> bool:
    """As asked; if nothing was said, then where nothing speaks against it (Kafka 3 and later)."""
    if value.idempotent is not None:
        return value.idempotent
    return value.acks == "all" and value.max_in_flight <= IN_FLIGHT_MOST and value.retries != 0


def batch_capacity(value: Publisher) -> int:
    """How many events fill a batch: by number, or by bytes after compression, but one event always fits."""
    if value.batch_events is not None:
        return value.batch_events
    return max(1, math.floor(value.batch_bytes / (value.event_bytes * value.compression)))


def wrong_together(value: Publisher) -> Iterator[str]:
    """Settings of one publisher that contradict each other, a sentence each with the fix."""
    if value.idempotent:
        if value.acks != "all":
            yield f"idempotent=True needs acks='all', but acks={value.acks!r}; give acks='all', or idempotent=False"
        if value.max_in_flight > IN_FLIGHT_MOST:
            many = f"max_in_flight={value.max_in_flight}"
            yield f"idempotent=True allows at most 5 requests in flight, but {many}; give max_in_flight=5 or fewer"
        if value.retries == 0:
            yield "idempotent=True is for those who retry, but retries=0; leave retries out, or give idempotent=False"
    if value.transaction_events is not None and not is_idempotent(value):
        yield "transactions need an idempotent producer; give acks='all', and max_in_flight=5 or fewer"
    if value.abort_share and value.transaction_events is None:
        yield "abort_share is a share of transactions; give transaction_events too, such as transaction_events=10"
    if value.acks == "none":
        for field in ("retries", "buffer_events"):
            if getattr(value, field):
                yield f"{field}= needs answers, but acks='none' asks for none; give acks='leader' or acks='all'"
    elif value.delivery_timeout_s < value.linger_s + value.request_timeout_s:
        least = value.linger_s + value.request_timeout_s
        yield (
            f"delivery_timeout_s={value.delivery_timeout_s:g} leaves no time for one attempt; "
            f"it should be at least linger_s + request_timeout_s = {least:g}"
        )


def wrong_here(value: Publisher, kind: str) -> Iterator[str]:
    """What may not be asked of this kind of target, a sentence each with the fix."""
    if kind in {"service", "cache"}:
        if needs_producer(value):
            yield f"acks, batches and buffers are for brokers, but {value.to!r} is a {kind}; leave them out"
    elif kind != "log":
        for field in ("idempotent", "transaction_events"):
            if getattr(value, field):
                yield f"{field}= is known to a log only, but {value.to!r} is a {kind}; leave it out"
