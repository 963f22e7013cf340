"""The JSON Schema of scenario files, made from the parts themselves; run this room to write it anew."""

from __future__ import annotations

import json
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from evsim.lab.handlers import HANDLERS
from evsim.lab.plain import PARTS

KEPT = Path(__file__).with_name("scenario.schema.json")


class _Generator(GenerateJsonSchema):
    """Where a function stands, a file names one of the catalogue's handlers."""

    def callable_schema(self, schema: Any) -> JsonSchemaValue:
        return {"enum": list(HANDLERS)}


def json_schema() -> dict[str, Any]:
    """The schema, as JSON Schema 2020-12."""
    part: Any = Annotated[reduce(or_, PARTS), Field(discriminator="kind")]
    made = TypeAdapter(part).json_schema(schema_generator=_Generator)
    definitions = made.pop("$defs")
    for definition in definitions.values():
        if "kind" in definition.get("properties", {}):
            definition["required"] = sorted({*definition.get("required", []), "kind"})
        definition["description"] = _first_sentence(definition.get("description", ""))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evsim scenario",
        "type": "object",
        "required": ["parts"],
        "additionalProperties": False,
        "properties": {
            "evsim": {"const": 1, "description": "The format of the file."},
            "name": {"type": "string", "minLength": 1, "default": "scenario"},
            "parts": {"type": "array", "items": made, "description": "What exists, in the order the event travels."},
        },
        "$defs": definitions,
    }


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split()).split(". ")[0].rstrip(".")


def written() -> str:
    """The schema as the text that is kept."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    KEPT.write_text(written(), encoding="utf-8")
