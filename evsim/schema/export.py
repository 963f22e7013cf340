"""The schemas of a registry for others: an AsyncAPI 3 document with a message for each version of each type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from evsim.errors import BadSchema
from evsim.schema.payload import Model, told

if TYPE_CHECKING:
    from evsim.schema.registry import Registry


def asyncapi(registry: Registry, title: str) -> dict[str, Any]:
    """The document (https://www.asyncapi.com/docs/reference/specification/v3.0.0): a channel for each type of event.

    A message is called by its type and version, such as ``order.placed.v2``; its payload is the JSON Schema of what is
    written.
    """
    names = {kind: [f"{kind}.v{version}" for version in registry.versions(kind)] for kind in registry.types}
    channels = {
        kind: {"address": kind, "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in known}}
        for kind, known in names.items()
    }
    messages = {
        name: {"name": kind, "contentType": "application/json", "payload": payload(registry.model(kind, version), name)}
        for kind, known in names.items()
        for version, name in enumerate(known, start=1)
    }
    head = {"asyncapi": "3.0.0", "info": {"title": title, "version": "1.0.0"}}
    return head | {"channels": channels, "components": {"messages": messages}}


def payload(model: Model, message: str) -> dict[str, Any]:
    """The schema of the payload of a message, with its parts where an AsyncAPI document has them; or BadSchema."""
    template = f"#/components/messages/{message}/payload/$defs/{{model}}"
    return json_schema(model, template, _ForAsyncAPI, "serialization")


class _ForAsyncAPI(GenerateJsonSchema):
    """JSON Schema with the discriminator of AsyncAPI, which is the name of a property and not OpenAPI's object."""

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        found = super().tagged_union_schema(schema)
        if "discriminator" in found:
            found["discriminator"] = found["discriminator"]["propertyName"]
        return found


def json_schema(
    model: Model,
    template: str = DEFAULT_REF_TEMPLATE,
    generator: type[GenerateJsonSchema] = GenerateJsonSchema,
    mode: JsonSchemaMode = "validation",
) -> dict[str, Any]:
    """The JSON Schema of a model, of what it reads or (``"serialization"``) what it writes, or BadSchema."""
    try:
        found = model.model_json_schema(by_alias=True, ref_template=template, schema_generator=generator, mode=mode)
        json.dumps(found, allow_nan=False)
    except Exception as problem:
        raise BadSchema(
            f"{model.__name__} has no JSON Schema ({told(problem)}); give its fields types and defaults that JSON knows"
        ) from problem
    return found
