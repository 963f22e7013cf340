"""Handlers of data synchronisation: a source that numbers its changes, copies of it, and a reconciliation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.names import part_of
from evsim.patterns.handler import Context
from evsim.patterns.reconcile import differences, mend, repairs
from evsim.patterns.replica import APPLY, Change

SOURCE = "source row"
"""The effect that says what the source has: its note holds the key, and the version (None: deleted)."""


def copied(part: str) -> str:
    """The effect that says what a copy has."""
    return f"{part} row"


def edit(event: Event, ctx: Context) -> None:
    """The source: change a row, number the change, and capture it in the same act: the outbox is the change log."""
    key, gone = str(event.key), bool(event.data["gone"])
    known = ctx.state.get(key, {"version": 0, "value": None})
    if gone and known["value"] is None:
        return
    version = known["version"] + 1
    value = None if gone else event.data["value"]
    ctx.state[key] = {"version": version, "value": value, "at_s": ctx.now}
    ctx.effect(SOURCE, key=key, version=None if gone else version)
    ctx.emit("customer.deleted" if gone else "customer.changed", {"version": version, "value": value, "at_s": ctx.now})


def list_rows(event: Event, ctx: Context) -> None:
    """The source: tell all rows that it has, for those who keep copies to compare theirs with."""
    rows = {key: ctx.state[key] for key in ctx.state}
    ctx.emit("customers.listed", {"rows": rows, "at_s": ctx.now}, key="all customers")


def _copying(how: str) -> Callable[[Event, Any], None]:
    def copy(event: Event, ctx: Any) -> None:
        change = Change(str(event.key), event.data["version"], event.data["value"], event.data["at_s"])
        if APPLY[how](ctx.state, change):
            seen = None if change.value is None else change.version
            ctx.effect(copied(part_of(ctx.node)), key=change.key, version=seen)

    copy.__name__ = f"copy_by_{how}"
    return copy


copy_by_arrival, copy_by_timestamp, copy_by_version = (_copying(how) for how in ("arrival", "timestamp", "version"))


def compare(event: Event, ctx: Any) -> None:
    """A copy: mend what differs from the list, unless it is younger than the list."""
    source = {key: dict(row) for key, row in event.data["rows"].items()}
    old = {key: ctx.state[key] for key in ctx.state if ctx.state[key]["at_s"] <= event.data["at_s"]}
    young = set(ctx.state) - set(old)
    wanted = {key: row for key, row in source.items() if key not in young}
    changes = repairs(wanted, old)
    ctx.effect("reconciled", part=part_of(ctx.node), differences=len(differences(wanted, old)))
    mend(ctx.state, changes)
    for change in changes:
        ctx.effect(copied(part_of(ctx.node)), key=change.key, version=None if change.value is None else change.version)


SYNC_HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "edit_row": edit, "list_rows": list_rows, "compare_rows": compare, "copy_by_arrival": copy_by_arrival,
        "copy_by_timestamp": copy_by_timestamp, "copy_by_version": copy_by_version,
    }
)  # fmt: skip
