"""The weak schema: what is there is read, what is missing is its default or None, what is unknown is passed over."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.fields import FieldInfo


@cache
def weakened(model: type[BaseModel]) -> type[BaseModel]:
    """A model of the same fields that asks for none of them and passes over unknown names.

    What is there must still be of its type. Models inside it stay as they are.
    """
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if field.is_required():
            annotation: Any = field.annotation
            loose = FieldInfo.merge_field_infos(field, default=None, annotation=annotation | None)
            fields[name] = (loose.annotation, loose)
    made: type[BaseModel] = create_model(f"Weak{model.__name__}", __base__=model, **fields)
    made.model_config = ConfigDict(**{**model.model_config, "extra": "ignore"})
    made.model_rebuild(force=True)
    return made
