"""What to expect before anything runs: offered load, capacity and utilisation, and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evsim.lab.sense import named
from evsim.patterns.matching import subject_matches
from evsim.sim.broker.exchange import Exchange, matcher
from evsim.sim.broker.log import Log
from evsim.sim.broker.pubsub import PubSub
from evsim.sim.cache import Cache
from evsim.sim.clients import Clients
from evsim.sim.consumer import Consumer
from evsim.sim.event_store import EventStore
from evsim.sim.faults import Fault
from evsim.sim.part import Part
from evsim.sim.profile import Diurnal, Profile, Ramp, Spike, Step
from evsim.sim.publisher import Publisher
from evsim.sim.relay import Relay
from evsim.sim.resequencer import Resequencer
from evsim.sim.router import Router, Wiretap
from evsim.sim.saga import Saga
from evsim.sim.service import Service
from evsim.view.words import count, share, si
from evsim.view.words import rate as per_second

_HIGH = 0.8


def explained(name: str, parts: tuple[Any, ...]) -> str:
    """Lines about each publisher, consumer, chain of services and fault; then the warnings."""
    lines = [f"{name}, before it runs"]
    lines += [_publisher(part) for part in parts if isinstance(part, Publisher)]
    lines += [_clients(part) for part in parts if isinstance(part, Clients)]
    lines += [_chain(part, parts) for part in parts if isinstance(part, Publisher) and _is_chain(part, parts)]
    lines += [_forwarder(part) for part in parts if isinstance(part, Router | Wiretap | Resequencer | Relay)]
    lines += [_consumer(part, parts) for part in parts if isinstance(part, Consumer)]
    lines += [_saga(part) for part in parts if isinstance(part, Saga)]
    lines += [_event_store(part) for part in parts if isinstance(part, EventStore)]
    lines += [f"  fault     {part!r}" for part in parts if isinstance(part, Fault)]
    warnings = [warning for part in parts if isinstance(part, Consumer) for warning in _warnings(part, parts)]
    return "\n".join([*lines, *(f"  warning   {warning}" for warning in warnings)])


def offered(consumer: Consumer, parts: tuple[Any, ...]) -> float:
    """Events a second that publishers send to this consumer at their peak; what handlers emit is not known yet."""
    known = named(parts)
    asked = sum(part.rate for part in parts if isinstance(part, Clients) and part.to == consumer.of)
    return asked + sum(
        _peak(part)
        for part in parts
        if isinstance(part, Publisher)
        and _comes(part, part.to, consumer, known, set())
        and (part.replay or consumer.takes(part.type))
    )


def _comes(publisher: Publisher, at: str, consumer: Consumer, known: Mapping[str, Part], seen: set[str]) -> bool:
    """Whether what is published comes to the broker of this consumer: directly, or through exchanges by its key."""
    part = known.get(at)
    key = publisher.message.routing_key or publisher.type
    if at == consumer.of:
        listened = consumer.subjects if isinstance(part, PubSub) and "{" not in key else None
        return listened is None or any(subject_matches(pattern, key) for pattern in listened)
    if not isinstance(part, Exchange) or part.type == "headers" or at in seen:
        return False
    bound = [target for target, binding in part.bindings.items() if matcher(part.type, binding)(key)]
    return any(_comes(publisher, target, consumer, known, {*seen, at}) for target in bound or [part.alternate or ""])


def capacity(consumer: Consumer, parts: tuple[Any, ...]) -> float:
    """Events a second that the members can handle when all are busy; in a group a partition feeds one member only."""
    busy_s = consumer.service_s.mean + consumer.turnaround_s.mean
    most = _workers(consumer, parts) * consumer.parallel / busy_s if busy_s else float("inf")
    return most if consumer.rate_limit is None else min(most, consumer.rate_limit.rate)


def _workers(consumer: Consumer, parts: tuple[Any, ...]) -> int:
    source = named(parts)[consumer.of]
    if isinstance(source, Log) and consumer.share is None:
        return min(consumer.members, source.partitions)
    return consumer.members


def rate(events: float) -> str:
    """Events per second; what takes no time has no limit."""
    return per_second(events) if events < float("inf") else "any rate"


def _peak(publisher: Publisher) -> float:
    """The highest rate of a publisher, per second; a closed loop cannot send faster than its clients think."""
    if publisher.clients is not None:
        return publisher.clients / publisher.think_s.mean if publisher.think_s.mean else float("inf")
    if publisher.gap_s is not None:
        return 1 / publisher.gap_s.mean if publisher.gap_s.mean else float("inf")
    return _peak_of(publisher.rate) if publisher.rate is not None else 0.0


def _peak_of(given: float | Profile) -> float:
    match given:
        case Step():
            return max(given.before, given.after)
        case Ramp():
            return max(given.start, given.end)
        case Diurnal():
            return given.mean * (1 + given.amplitude)
        case Spike():
            return max(given.base, given.peak)
    return float(given)  # type: ignore[arg-type]


def _publisher(part: Publisher) -> str:
    if part.replay is not None:
        how = f"replays {part.replay}"
    elif part.clients is not None:
        how = f"at most {rate(_peak(part))}, {count(part.clients, 'client')} thinking {si(part.think_s.mean, 's')}"
    else:
        how = rate(_peak(part)) if not isinstance(part.rate, Profile) else f"up to {rate(_peak(part))}, {part.rate!r}"
    return f"  {part.name:<9} {part.type} to {part.to}: {how}"


def _clients(part: Clients) -> str:
    cured = {
        None: f"read {' or '.join(part.views)}",
        "wait": f"wait until {' or '.join(part.views)} has come to their own write",
        "write_side": f"read {part.to} itself",
        "sticky": f"read {' or '.join(part.views)}, each session the same one",
        "token": f"read {' or '.join(part.views)}, or {part.to} when that is behind",
    }[part.cure]
    who = f"{count(part.sessions, 'session')} write {part.type} to {part.to}: {rate(part.rate)}"
    return f"  {part.name:<9} {who}\n{'':<12}{si(part.read_after_s.mean, 's')} later they {cured}"


def _forwarder(part: Router | Wiretap | Resequencer | Relay) -> str:
    verb = {"router": "routes", "wiretap": "copies", "resequencer": "puts into order", "relay": "sends"}[part.kind]
    return f"  {part.name:<9} {verb} {part.of} to {', '.join(part.targets)}"


def _consumer(part: Consumer, parts: tuple[Any, ...]) -> str:
    load, most = offered(part, parts), capacity(part, parts)
    expected = f"offered {rate(load)}, capacity {rate(most)}, utilisation {share(load, most)}"
    unknown = f"capacity {rate(most)}; its load comes from handlers or a dataset"
    who = f"{count(part.members, 'member')}, {si(part.service_s.mean, 's')} an event"
    who += f", {part.parallel} at once" if part.parallel > 1 else ""
    return f"  {part.name:<9} reads {part.of}: {expected if load else unknown}\n{'':<12}{who}"


def _event_store(part: EventStore) -> str:
    takes_s = part.append_s.mean + (part.sync_s.mean if part.durability == "sync" else 0.0)
    most = rate(1 / takes_s if takes_s else float("inf"))
    risk = {
        "none": f"any crash loses what it acknowledged in the last {si(part.unsafe_s, 's')}",
        "flush": f"a power cut loses what it acknowledged in the last {si(part.unsafe_s, 's')}",
        "sync": "nothing that it acknowledged is ever lost",
    }[part.durability]
    return f"  {part.name:<9} an event store, {most} appended one at a time; durability {part.durability}: {risk}"


def _saga(part: Saga) -> str:
    stages = [" and ".join(step.do for step in stage) for stage in part.plan.stages]
    pivot = next((step.do for step in part.plan.flat if step.pivot), None)
    told = f"{'':<12}no way back after {pivot}" if pivot else f"{'':<12}every step can be undone, or is the last"
    return f"  {part.name:<9} conducts {', '.join(stages)}\n{told}"


def _warnings(part: Consumer, parts: tuple[Any, ...]) -> Iterator[str]:
    load, most, workers = offered(part, parts), capacity(part, parts), _workers(part, parts)
    if load >= most:
        yield f"{part.name} is over capacity: {rate(load)} offered, {rate(most)} at most; its backlog will only grow"
    elif load > _HIGH * most:
        yield f"{part.name} will be {share(load, most)} busy; above {share(_HIGH)} waiting grows steeply"
    if part.members > workers:
        idle = part.members - workers
        shared = f"{count(workers, 'partition')} of {part.of}"
        yield f"{part.name} has {part.members} members for {shared}: {idle} will have nothing to do"


# ---------------------------------------------------------------- chains of services


def _is_chain(publisher: Publisher, parts: tuple[Any, ...]) -> bool:
    return isinstance(named(parts)[publisher.to], Service | Cache)


def _chain(publisher: Publisher, parts: tuple[Any, ...]) -> str:
    services = list(_asked(publisher.to, parts))
    there = 1.0
    for service in services:
        there *= service.availability
    spent_s = sum(service.service_s.mean for service in services)
    chain = " > ".join(service.name for service in services)
    chain = f"{publisher.to}, and on a miss for {chain}" if isinstance(named(parts)[publisher.to], Cache) else chain
    return f"  {publisher.name:<9} waits for {chain}: {si(spent_s, 's')} on average, answers {share(there)}"


def _asked(name: str, parts: tuple[Any, ...]) -> Iterator[Service]:
    service = named(parts)[name]
    if isinstance(service, Cache):
        yield from _asked(service.origin, parts)
    elif isinstance(service, Service):
        yield service
        for inner in service.calls:
            yield from _asked(inner, parts)
