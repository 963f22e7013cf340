"""A join of a stream with a table: the newest row of each key is kept, and each event of the stream is given its row.

The table is made of events as well (a change is its newest row), so that what a stream finds in it may be old: a change
is under way for a while, and until it has come the row before it is given out. Where the row of that very moment is
needed, the event must carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evsim.errors import BadEvent, shown
from evsim.event import Event
from evsim.patterns.handler import Context

Row = Mapping[str, Any]
Then = Callable[[Event, Context, Row | None], None]


def joining(
    table: str,
    then: Then,
    *,
    key: Callable[[Event], str],
    row_key: Callable[[Event], str] = lambda event: str(event.key),
    version: str | None = "version",
) -> Callable[[Event, Context], None]:
    """A handler of both: it keeps the events of the type ``table``, and calls ``then(event, ctx, row)`` for all others.

    A row is the data of the newest event with its key, ``row_key(event)``; newest is who has the highest number in the
    field ``version``, or who comes last where ``version`` is None. ``key(event)`` says which row an event of the stream
    asks for; one that is not there yet is None. The rows lie in the handler's state, and survive a crash.
    """

    def join(event: Event, ctx: Context) -> None:
        if event.type != table:
            then(event, ctx, ctx.state.get(_name(table, key(event))))
            return
        name, known = _name(table, row_key(event)), None
        if version is not None:
            number = event.data.get(version)
            if not isinstance(number, int | float):
                raise BadEvent(
                    f"{version}={shown(number)} of {event.id} says not which row is newer; expected a number, as "
                    f"Publisher(sequence={version!r}) writes, or version=None for whatever comes last"
                )
            known = ctx.state.get(name)
        if version is None or known is None or number > known[version]:
            ctx.state[name] = event.to_dict()["data"]

    return join


def _name(table: str, key: str) -> str:
    return f"{table} of {key}"
