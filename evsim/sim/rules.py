"""The rules of the three kinds: a command has exactly one handler, a domain event stays inside its context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evsim.kinds import crosses_boundary, has_one_handler, kind_of


def broken_rules(
    event_type: str, source: str, context: str | None, log: str, parts: Mapping[str, Any]
) -> Iterator[str]:
    """What is against the rules when ``source`` sends events of this type to this log, a sentence each."""
    takers = [p for p in parts.values() if p.kind == "consumer" and p.of == log and p.takes(event_type)]
    kind = kind_of(event_type)
    if has_one_handler(kind) and len(takers) != 1:
        names = ", ".join(taker.name for taker in takers)
        who = f"{names} all handle it" if takers else "nobody handles it"
        yield f"a command has exactly one handler, but of {event_type!r} on {log!r} {who}"
    if crosses_boundary(kind) or context is None:
        return
    for taker in takers:
        if taker.context not in {None, context}:
            yield (
                f"{event_type!r} of {source!r} is a domain event of the context {context!r}, but {taker.name!r} of "
                f"{taker.context!r} reads it; publish an integration event for it, such as '{context}.{event_type}'"
            )
