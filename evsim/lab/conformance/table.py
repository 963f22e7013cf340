"""The whole table: the cases of every room, chosen, played and printed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from evsim.errors import UnknownName, did_you_mean
from evsim.lab.conformance import (
    compaction,
    consumers,
    exchange,
    groups,
    jetstream,
    limits,
    log,
    pubsub,
    queue,
    replicas,
    share,
    sqs,
    stream,
    topics,
    transactions,
    webhook,
)
from evsim.lab.conformance.case import Case, Verdict

ROOMS = (
    log,
    replicas,
    transactions,
    topics,
    compaction,
    share,
    groups,
    queue,
    consumers,
    limits,
    exchange,
    sqs,
    pubsub,
    jetstream,
    webhook,
    stream,
)


def cases(broker: str | None = None, id: str | None = None) -> list[Case]:  # noqa: A002
    """The cases, in the order of their ids; those of one broker, or the one with this id."""
    every = sorted((case for room in ROOMS for case in room.CASES), key=_order)
    brokers, ids = {case.broker: None for case in every}, {case.id: None for case in every}
    if broker is not None and broker not in brokers:
        raise UnknownName(f"no case is about a broker called {broker!r}{did_you_mean(broker, brokers)}")
    if id is not None and id not in ids:
        raise UnknownName(f"no case is called {id!r}{did_you_mean(id, ids)}")
    return [case for case in every if broker in {None, case.broker} and id in {None, case.id}]


def _order(case: Case) -> tuple[int, int]:
    name, _, number = case.id.rpartition("-")
    brokers = ("log", "group", "share", "queue", "sqs", "pubsub", "webhook", "stream")
    return brokers.index(name) if name in brokers else len(brokers), int(number)


def played(chosen: Iterable[Case]) -> list[Verdict]:
    """What becomes of these cases."""
    return [case.verdict() for case in chosen]


def text(verdict: Verdict, width: int) -> str:
    """One case as a small paragraph: id, verdict and broker, then what was set up, what must be, what was seen."""
    case = verdict.case
    fault = "" if case.fault == "none" else f" [{case.fault}]"
    head = f"{case.id:<12}{verdict.state:<10}{case.setup}{fault}"
    facts = [("must", case.must), ("seen", verdict.seen), ("source", case.source)]
    lines = [_wrapped(head, 22, width)] + [_wrapped(f"{'':<12}{name:<10}{fact}", 22, width) for name, fact in facts]
    return "\n".join(lines)


def _wrapped(line: str, indent: int, width: int) -> str:
    return textwrap.fill(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def summary(verdicts: list[Verdict]) -> str:
    """How many cases are ok, and which are not."""
    broken = [verdict.case.id for verdict in verdicts if not verdict.ok]
    held = f"{len(verdicts) - len(broken)} of {len(verdicts)} cases ok"
    return f"{held}; VIOLATED: {', '.join(broken)}" if broken else held
