"""What to expect before anything runs: how much is offered, how much can be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evsim.sim.part import Part
from evsim.sim.profile import Profile


def tell(parts: Mapping[str, Part]) -> str:
    """Offered load, capacity and utilisation of each consumer, with a warning where it cannot work."""
    lines = [line for part in parts.values() if part.kind == "consumer" for line in _consumer(part, parts)]
    return "\n".join(lines) or "nothing consumes in this scenario"


def offered(log: str, parts: Mapping[str, Part]) -> float | None:
    """Events per second that publishers send to a log; None where that is not known before the run."""
    rates = [_rate(part) for part in parts.values() if part.kind == "publisher" and part.to == log]
    return None if None in rates else float(sum(rate for rate in rates if rate is not None))


def _rate(publisher: Any) -> float | None:
    if isinstance(publisher.rate, Profile):
        return None
    if publisher.rate is not None:
        return float(publisher.rate)
    if publisher.gap_s is not None and publisher.gap_s.mean > 0:
        return 1.0 / float(publisher.gap_s.mean)
    return None


def _consumer(consumer: Any, parts: Mapping[str, Part]) -> Iterator[str]:
    log: Any = parts.get(consumer.of)
    partitions = getattr(log, "partitions", 1)
    workers = min(consumer.members, partitions)
    needed_s = consumer.service_s.mean + consumer.turnaround_s.mean
    rate = offered(consumer.of, parts)
    if rate is None:
        yield f"{consumer.name}: what is offered is known only when it runs"
    elif needed_s == 0:
        yield f"{consumer.name}: offered {rate:.4g}/s, handling takes no time"
    else:
        capacity = workers / needed_s
        load = rate / capacity
        yield f"{consumer.name}: offered {rate:.4g}/s, capacity {capacity:.4g}/s, utilisation {100 * load:.3g} %"
        if load >= 1:
            yield f"  beware: {rate:.4g}/s are offered and {capacity:.4g}/s can be handled; the backlog grows without end"
    if consumer.members > partitions:
        idle = consumer.members - partitions
        yield f"  beware: {consumer.members} members for {partitions} partition{'s' if partitions > 1 else ''}; {idle} will have nothing to do"
