"""The schemas of a registry for others: an AsyncAPI 3 document with a message for each version of each type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evsim.schema.registry import Registry


def asyncapi(registry: Registry, title: str) -> dict[str, Any]:
    """The document (https://www.asyncapi.com/docs/reference/specification/v3.0.0): a channel for each type of event.

    A message is called by its type and version, such as ``order.placed.v2``, and its payload is a JSON Schema.
    """
    names = {kind: [f"{kind}.v{version}" for version in registry.versions(kind)] for kind in registry.types}
    channels = {
        kind: {"address": kind, "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in known}}
        for kind, known in names.items()
    }
    messages = {
        name: {"name": kind, "contentType": "application/json", "payload": _payload(registry, kind, version, name)}
        for kind, known in names.items()
        for version, name in enumerate(known, start=1)
    }
    head = {"asyncapi": "3.0.0", "info": {"title": title, "version": "1.0.0"}}
    return head | {"channels": channels, "components": {"messages": messages}}


def _payload(registry: Registry, kind: str, version: int, name: str) -> dict[str, Any]:
    template = f"#/components/messages/{name}/payload/$defs/{{model}}"
    return registry.model(kind, version).model_json_schema(by_alias=True, ref_template=template)
