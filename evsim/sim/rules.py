"""The rules of the three kinds: a command has exactly one handler, a domain event stays inside its context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evsim.kinds import crosses_boundary, has_one_handler, kind_of


def broken_rules(
    event_type: str, source: str, context: str | None, broker: str, parts: Mapping[str, Any]
) -> Iterator[str]:
    """What is against the rules when ``source`` sends events of this type to this broker, a sentence each."""
    takers, one_of_them = reached(event_type, broker, parts)
    kind = kind_of(event_type)
    if has_one_handler(kind) and len(takers) != 1 and not (one_of_them and takers):
        names = ", ".join(taker.name for taker in takers)
        who = f"{names} all handle it" if takers else "nobody handles it"
        yield f"a command has exactly one handler, but of {event_type!r} on {broker!r} {who}"
    if crosses_boundary(kind) or context is None:
        return
    for taker in takers:
        if taker.context not in {None, context}:
            yield (
                f"{event_type!r} of {source!r} is a domain event of the context {context!r}, but {taker.name!r} of "
                f"{taker.context!r} reads it; publish an integration event for it, such as '{context}.{event_type}'"
            )


def reached(event_type: str, broker: str, parts: Mapping[str, Any]) -> tuple[list[Any], bool]:
    """The consumers that events of this type may come to from this broker, and whether they share them.

    Those who take from a queue share it, and so do those behind an exchange or a router, which choose the way.
    """
    takers: list[Any] = []
    ahead, seen, shared = [broker], set(), False
    while ahead:
        here = ahead.pop(0)
        if here in seen:
            continue
        seen.add(here)
        part = parts.get(here)
        if part is not None and part.kind == "exchange":
            ahead += [*part.bindings, *([part.alternate] if part.alternate else [])]
        shared = shared or (part is not None and part.kind in {"exchange", "queue"})
        for other in parts.values():
            if getattr(other, "of", None) != here:
                continue
            if other.kind in {"consumer", "saga", "projection"} and other.takes(event_type):
                takers.append(other)
            elif other.kind == "router":
                ahead, shared = ahead + other.targets, True
    return takers, shared
