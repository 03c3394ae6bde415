"""Generates the validator of a collection from the fields and the `check` of its document class.

The `$jsonSchema` rejects what the class rejects: unknown and missing fields, nulls, wrong types, unknown literals and
strings that are too long. Rules that it cannot express become additional conditions. So the rules hold for every
writer, and documents need no validation when they are read.
"""

from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic import BaseModel

from datalayer.engine.document import Document
from datalayer.engine.fields import Json, unwrap
from datalayer.engine.json_schema import JsonSchema, object_schema
from datalayer.schema.json_values import is_json


def validator(document: type[Document]) -> JsonSchema:
    """Return the validator of the document's collection."""
    conditions: list[object] = [{"$expr": is_json(path)} for path in _json_paths(document)]
    if document.Settings.check is not None:
        conditions.append(document.Settings.check)
    return {"$jsonSchema": object_schema(document), **({"$and": conditions} if conditions else {})}


def _json_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Return the paths of the fields of type `Json` or list of `Json`, including those in embedded objects."""
    for name, field in model.model_fields.items():
        path, kind = f"{prefix}{field.alias or name}", unwrap(field.annotation)[0]
        if kind is Json or (get_origin(kind) is list and unwrap(get_args(kind)[0])[0] is Json):
            yield path
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _json_paths(kind, f"{path}.")
