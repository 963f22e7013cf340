"""Which law fits a run, judged by the parts it was made of; or why none does, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from evsim.errors import BadScenario
from evsim.history import History
from evsim.laws import Duration, Law

if TYPE_CHECKING:
    from evsim.view.theory import Queue

Part = Mapping[str, Any]
_FAULTS = (
    *("crashed", "paused", "slowed", "cut", "dropped", "duplicated", "delayed"),
    *("expired", "overflowed", "requeued", "left"),
)
_DURATION: TypeAdapter[Any] = TypeAdapter(Duration)


class Prediction(NamedTuple):
    """The law that fits, or None; and why."""

    law: Queue | None
    reason: str


class _NoLaw(Exception):
    """Why no law fits."""


def predict(run: History | Mapping[str, Part], group: str | None = None) -> Prediction:
    """The law that fits one consumer of these parts, of a history or of ``history.parts``.

    Several members of a queue or a share group, or one member that handles several events at once: M/M/c.
    Poisson publishers into one log, keys spread evenly, a member for each partition: M/M/1 in each partition if the
    service is exponential, M/G/1 if not, Kingman's approximation if the gaps are not exponential.
    """
    parts = run.parts if isinstance(run, History) else run
    try:
        if isinstance(run, History):
            _check_quiet(run)
        return _fit(parts, _consumer(parts, group))
    except (_NoLaw, BadScenario) as reason:
        return Prediction(None, str(reason))


def _check_quiet(history: History) -> None:
    seen = {history.whats[code].step for code in np.unique(history.what).tolist()}
    faults = [step for step in _FAULTS if step in seen]
    if faults:
        raise _NoLaw(f"no law for this run: something was {faults[0]}, so there is no steady state")


def _consumer(parts: Mapping[str, Part], group: str | None) -> Part:
    consumers = [part for part in parts.values() if part.get("kind") == "consumer"]
    if group is not None:
        consumers = [part for part in consumers if group in {part.get("name"), part.get("group")}]
    if not consumers:
        raise _NoLaw("no law: there is no consumer" + (f" called {group!r}" if group else ""))
    if len(consumers) > 1:
        names = ", ".join(str(part["name"]) for part in consumers)
        raise _NoLaw(f"no one law for the consumers {names} together; name one of them with group=")
    return consumers[0]


def _fit(parts: Mapping[str, Part], consumer: Part) -> Prediction:
    from evsim.view.theory import GG1, MG1, MM1  # theory offers predict as its own

    name, log = consumer["name"], parts.get(consumer["of"], {})
    _check_plain(parts, consumer)
    publishers = [
        part
        for part in parts.values()
        if part.get("kind") in {"publisher", "clients"} and part.get("to") == log.get("name")
    ]
    rate, gap_scv = _arrivals(publishers)
    if log.get("kind") == "queue":
        _check_queue(log, consumer, publishers)
    service = _DURATION.validate_python(consumer.get("service_s", 0.0))
    if int(consumer.get("parallel", 1)) > 1:
        return _at_once(consumer, log, publishers, _pooled({**consumer, "prefetch": 1}, rate, gap_scv, service))
    pooled = log.get("kind") == "queue" or bool(consumer.get("share"))
    if pooled and int(consumer.get("members", 1)) > 1:
        return _pooled(consumer, rate, gap_scv, service)
    share = 1.0 if pooled else _share_of_partition(publishers, log, consumer)
    if not service.mean:
        raise _NoLaw(f"no law: {name} takes no time for an event")
    each = f" in each of {round(1 / share)} partitions" if share < 1 else ""
    told = f"{rate * share:.4g}/s{each}, {1000 * service.mean:.4g} ms of service"
    if gap_scv != 1:
        law: Any = GG1(rate * share, share * gap_scv + 1 - share, service.mean, service.scv, service)
    elif service.scv == 1 and _kind(service) == "exponential":
        law = MM1(rate * share, 1 / service.mean)
    else:
        law = MG1(rate * share, service.mean, service.scv, service)
    return Prediction(law, f"{law.name}: {told}")


def _at_once(consumer: Part, log: Part, publishers: list[Part], pooled: Prediction) -> Prediction:
    """Several hands of one member, where no event waits for another of its key: Erlang's law too."""
    name = consumer["name"]
    if int(consumer["members"]) > 1 or int(log.get("partitions", 1)) > 1:
        raise _NoLaw(
            f"no law: the members of {name} handle {consumer['parallel']} events at once, each of its own share"
        )
    if any(part.get("key", "own") not in {None, "own"} for part in publishers):
        raise _NoLaw(f"no law: at {name} events of one key wait for each other; give each its own")
    return pooled


def _pooled(consumer: Part, rate: float, gap_scv: float, service: Any) -> Prediction:
    """Several servers in front of one queue: Erlang's law."""
    from evsim.view.theory import MMc

    name, members = consumer["name"], int(consumer["members"]) * int(consumer.get("parallel", 1))
    if gap_scv != 1 or _kind(service) != "exponential":
        raise _NoLaw(f"no exact law for the {members} members of {name}: only Poisson arrivals and exponential service")
    if consumer.get("prefetch", 1) != 1:
        raise _NoLaw(f"no law: with prefetch={consumer['prefetch']} messages wait at {name} for a member that is busy")
    law = MMc(rate, 1 / service.mean, members)
    return Prediction(law, f"{law.name}: {rate:.4g}/s, {members} servers, {1000 * service.mean:.4g} ms of service")


def _kind(law: Law) -> Any:
    return getattr(law, "kind", None)


def _check_plain(parts: Mapping[str, Part], consumer: Part) -> None:
    """Nothing but waiting and service may take time, and nobody else may publish."""
    name, log = consumer["name"], consumer["of"]
    busy = [part for part in parts.values() if part.get("kind") == "consumer" and part.get("on")]
    if consumer.get("on"):
        raise _NoLaw(f"no law: {name} has handlers, which may wait and send; a law knows only service_s")
    if any((part.get("to") or part.get("of")) == log for part in busy):
        raise _NoLaw(f"no law: handlers send events of their own to {log}")
    if consumer.get("types") is not None:
        raise _NoLaw(f"no law: {name} skips events of other types")
    if consumer.get("rate_limit") is not None or consumer.get("patience_s") is not None:
        raise _NoLaw(f"no law: {name} waits for its rate limit, or sheds what has waited, which no law here knows")
    if _takes_time(consumer.get("turnaround_s")):
        raise _NoLaw(f"no law: {name} needs a turnaround after each event, which no law here knows")
    for part in parts.values():
        if (
            part.get("kind") == "link"
            and _takes_time(part.get("delay_s"))
            and log in {part.get("start"), part.get("end")}
        ):
            raise _NoLaw(f"no law: the link {part['start']}>{part['end']} takes time too, which no law here knows")


def _check_queue(queue: Part, consumer: Part, publishers: list[Part]) -> None:
    """All messages wait in one line, first come first served, for as long as it takes, and every member may take."""
    name = queue["name"]
    limits = [limit for limit in ("max_length", "message_ttl_s", "expires_s") if queue.get(limit) is not None]
    if limits:
        raise _NoLaw(f"no law: {name} has a {limits[0]}, so not every message waits until it is done")
    if queue.get("single_active_consumer") and int(consumer.get("members", 1)) > 1:
        raise _NoLaw(f"no law: {name} gives all to one of the {consumer['members']} members; the others stand by")
    if queue.get("fifo") and any(part.get("key", "own") != "own" for part in publishers):
        raise _NoLaw(f"no law: in {name} messages of one group wait for each other; give each its own key")
    messages = [part.get("message") or {} for part in publishers]
    if any(message.get("delay_s") or message.get("expiration_s") is not None for message in messages):
        raise _NoLaw(f"no law: messages to {name} are delayed or expire, which no law here knows")
    if queue.get("max_priority") is not None and len({message.get("priority", 0) for message in messages}) > 1:
        raise _NoLaw(f"no law: some messages in {name} overtake others, for their priority is higher")


def _takes_time(law: Any) -> bool:
    return law is not None and _DURATION.validate_python(law).mean > 0


def _arrivals(publishers: list[Part]) -> tuple[float, float]:
    """The rate of all publishers together, and the squared coefficient of variation of the gaps."""
    if not publishers:
        raise _NoLaw("no law: nobody publishes to this log")
    found = [_arrivals_of(publisher) for publisher in publishers]
    if len(found) > 1 and any(scv != 1 for _, scv in found):
        raise _NoLaw("no law for several publishers, unless each is a Poisson process")
    return sum(rate for rate, _ in found), found[0][1]


def _arrivals_of(publisher: Part) -> tuple[float, float]:
    name, rate = publisher["name"], publisher.get("rate")
    if publisher["kind"] == "clients":
        return float(publisher["rate"]), 1.0
    if publisher.get("clients") is not None:
        raise _NoLaw(f"no law: {name} waits for answers (closed loop), so its rate depends on the consumer")
    if publisher.get("replay") is not None:
        raise _NoLaw(f"no law: {name} replays a dataset")
    if isinstance(rate, Mapping):
        raise _NoLaw(f"no law: the rate of {name} changes with time ({rate.get('kind')})")
    if rate is not None:
        return float(rate), 1.0
    gap = _DURATION.validate_python(publisher["gap_s"])
    if not gap.mean:
        raise _NoLaw(f"no law: {name} leaves no time between events")
    return 1 / gap.mean, 1.0 if _kind(gap) == "exponential" else float(gap.scv)


def _share_of_partition(publishers: list[Part], log: Part, consumer: Part) -> float:
    """The share of all events that one server gets, if all get the same."""
    partitions, members = int(log.get("partitions", 1)), int(consumer.get("members", 1))
    keys = {
        str(publisher.get("key")) if not isinstance(publisher.get("key"), Mapping) else "?" for publisher in publishers
    }
    if partitions == 1 or (len(keys) == 1 and not keys & {"own", "None", "?"}):
        return 1.0
    if not keys <= {"own", "None"}:
        raise _NoLaw(f"no law: keys do not spread evenly over the {partitions} partitions of {log['name']}")
    if members < partitions:
        name = consumer["name"]
        raise _NoLaw(f"no law: the {members} members of {name} read {partitions} partitions in turn; give each its own")
    return 1 / partitions
