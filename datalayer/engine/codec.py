"""Converts documents from and to MongoDB's form, with code that is generated once for each class.

The database has already validated what it returns, so loading only renames fields: one dict display instead of a
validation, at a fifth of the cost. The result is an ordinary pydantic model.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from datalayer.engine.errors import InvalidDocumentError
from datalayer.engine.fields import unwrap

Wire: TypeAlias = Mapping[str, object]
"""A document as the driver returns it."""

M = TypeVar("M", bound=BaseModel)


class Codec(Generic[M]):
    """Converts between instances of a class and dicts of the driver: `load` and `dump`."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        source = _Source(model)
        self._load: Callable[[Sequence[Wire], list[M]], None] = source.function("load", source.load_lines())
        self.dump: Callable[[M], dict[str, object]] = source.function("dump", source.dump_lines())

    def load(self, wires: Sequence[Wire]) -> list[M]:
        """Return instances with the given values. Unknown fields are ignored.

        Raises:
            InvalidDocumentError: A field is missing or has the wrong type.
        """
        loaded: list[M] = []
        try:
            self._load(wires, loaded)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _invalid(self._model, wires[len(loaded)]) from error
        return loaded

    def load_inner(self, wire: Wire) -> M:
        """Load an embedded object. Errors are raised for the whole document."""
        return self.load_items([wire])[0]

    def load_items(self, wires: Sequence[Wire]) -> list[M]:
        """Load a list of embedded objects; see `load_inner`."""
        loaded: list[M] = []
        self._load(wires, loaded)
        return loaded


class _Source:
    """Generates the functions of one class as Python source. Names other than fields begin with an underscore."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        # Setting a slot through its descriptor is faster than setting it by name.
        slots = BaseModel.__dict__
        self._names: dict[str, object] = {
            "_new": object.__new__,
            # A field may be called `round`, too.
            "_round": round,
            "_model": model,
            "_always": {name for name, field in model.model_fields.items() if not unwrap(field.annotation)[1]},
            "_set_dict": object.__setattr__,
            "_set_fields_set": slots["__pydantic_fields_set__"].__set__,
            "_set_extra": slots["__pydantic_extra__"].__set__,
            "_set_private": slots["__pydantic_private__"].__set__,
        }

    def function(self, name: str, lines: list[str]) -> Any:  # noqa: ANN401
        exec(compile("\n".join(lines), f"<{name} {self._model.__name__}>", "exec"), self._names)  # noqa: S102
        return self._names[name]

    def load_lines(self) -> list[str]:
        """Return a function that loads many documents: a call for each document would cost a tenth more."""
        fields = self._model.model_fields
        body = ["_get = _wire.get", "_present = _always.copy()"]
        for name, field in fields.items():
            if unwrap(field.annotation)[1]:
                body.append(f"{name} = _get({field.alias or name!r})")
                body.append(f"if {name} is not None: {self._converted(name, field, name)}_present.add({name!r})")
        values = ", ".join(f"{name!r}: {self._loaded(name, field)}" for name, field in fields.items())
        body += [
            "_self = _new(_model)",
            f"_set_dict(_self, '__dict__', {{{values}}})",
            "_set_fields_set(_self, _present)",
            "_set_extra(_self, None)",
            "_set_private(_self, None)",
            "_append(_self)",
        ]
        head = ["def load(_wires, _loaded):", " _append = _loaded.append", " for _wire in _wires:"]
        return head + [f"  {line}" for line in body]

    def _loaded(self, name: str, field: FieldInfo) -> str:
        """Return the expression for a field's value; the value of an optional field is already in a variable."""
        optional = unwrap(field.annotation)[1]
        return name if optional else self._conversion(name, field, f"_wire[{field.alias or name!r}]")

    def _converted(self, name: str, field: FieldInfo, value: str) -> str:
        conversion = self._conversion(name, field, value)
        return "" if conversion == value else f"{name} = {conversion}; "

    def _conversion(self, name: str, field: FieldInfo, value: str) -> str:
        kind = unwrap(field.annotation)[0]
        if kind is int:
            # Another driver may have written an integral double, and the driver's own Int64 is not a plain int.
            # `int()` would also accept strings and times.
            return f"_round({value})"
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            self._names[f"_load_{name}"] = Codec(kind).load_inner
            return f"_load_{name}({value})"
        if (items := _items(kind)) is not None:
            self._names[f"_load_{name}"] = Codec(items).load_items
            return f"_load_{name}({value})"
        return value

    def dump_lines(self) -> list[str]:
        fields = self._model.model_fields.items()
        always = [(name, field) for name, field in fields if not unwrap(field.annotation)[1]]
        values = ", ".join(f"{field.alias or name!r}: {self._dumped(name, field)}" for name, field in always)
        lines = ["def dump(self):", " values = self.__dict__", f" wire = {{{values}}}"]
        for name, field in fields:
            if unwrap(field.annotation)[1]:
                lines.append(f" value = values[{name!r}]")
                dumped = self._dumped(name, field, "value")
                lines.append(f" if value is not None: wire[{field.alias or name!r}] = {dumped}")
        return [*lines, " return wire"]

    def _dumped(self, name: str, field: FieldInfo, value: str | None = None) -> str:
        value = value or f"values[{name!r}]"
        kind, _ = unwrap(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            self._names[f"dump_{name}"] = Codec(kind).dump
            return f"dump_{name}({value})"
        if (items := _items(kind)) is not None:
            self._names[f"dump_{name}"] = Codec(items).dump
            return f"[dump_{name}(_item) for _item in {value}]"
        return value


def _items(kind: Any) -> type[BaseModel] | None:  # noqa: ANN401
    """Return the class of the objects in a list of embedded objects, or `None`."""
    (item,) = get_args(kind) if get_origin(kind) is list else (None,)
    return item if isinstance(item, type) and issubclass(item, BaseModel) else None


def _invalid(model: type[BaseModel], wire: Wire) -> InvalidDocumentError:
    """Validate the document in full, to find out which field is wrong."""
    settings = getattr(model, "Settings", None)
    place = f"{getattr(settings, 'name', model.__name__)} {wire.get('_id', '')}".strip()
    try:
        model.model_validate(wire)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return InvalidDocumentError(f"{place}: the field {field} does not match the schema ({first['msg'].lower()}).")
    return InvalidDocumentError(f"{place}: the document cannot be read.")
