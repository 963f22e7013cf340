"""A catalogue as an AsyncAPI 3 document: a channel for each context, a message with its JSON Schema for each type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.schema.export import payload

if TYPE_CHECKING:
    from evsim.design.catalogue import EventCatalogue
    from evsim.design.entry import EventType


def asyncapi(catalogue: EventCatalogue) -> dict[str, Any]:
    """The document; what AsyncAPI has no words for stands in ``x-evsim`` at each message."""
    channels = {
        owner: {
            "address": owner,
            "messages": {
                entry.type: {"$ref": f"#/components/messages/{entry.type}"}
                for entry in catalogue.types
                if entry.owner == owner
            },
        }
        for owner in catalogue.owners
    }
    operations: dict[str, Any] = {}
    for owner in catalogue.owners:
        own = [entry for entry in catalogue.types if entry.owner == owner]
        for name, action, entries in (
            (owner, "send", [entry.type for entry in own if entry.kind != "command"]),
            (f"{owner}-handles", "receive", [entry.type for entry in own if entry.kind == "command"]),
        ):
            if entries:
                operations[name] = _operation(owner, action, entries)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": catalogue.name, "version": "1.0.0"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": {entry.type: _message(entry) for entry in catalogue.types}},
    }


def _operation(owner: str, action: str, names: list[str]) -> dict[str, Any]:
    messages = [{"$ref": f"#/channels/{owner}/messages/{name}"} for name in names]
    return {"action": action, "channel": {"$ref": f"#/channels/{owner}"}, "messages": messages}


def _message(entry: EventType) -> dict[str, Any]:
    said = {"kind": entry.kind, "owner": entry.owner, "caused_by": list(entry.caused_by), "moves": entry.moves}
    message: dict[str, Any] = {"name": entry.type, "x-evsim": {name: value for name, value in said.items() if value}}
    if entry.data is not None:
        message["payload"] = payload(entry.model, entry.type)
    return message
