"""The way of a document from and to the wire, compiled once for each class.

The database has validated what it returns, so reading only renames: one dict display instead of a validation, at a
fifth of its cost. What is built is a pydantic model like any other.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from datalayer.documents.fields import unwrap
from datalayer.errors import InvalidDocumentError

Wire: TypeAlias = Mapping[str, object]
"""A document as the driver returns it."""

M = TypeVar("M", bound=BaseModel)


class Codec(Generic[M]):
    """`load` makes an instance of a class from the wire, `dump` makes the wire's dict from an instance.

    `build` is `load` without the explanation of what is wrong with a document: that is the whole document's matter.
    """

    def __init__(self, model: type[M]) -> None:
        self._model = model
        source = _Source(model)
        self.build: Callable[[Wire], M] = source.function("load", source.load_lines())
        self.dump: Callable[[M], dict[str, object]] = source.function("dump", source.dump_lines())

    def load(self, wire: Wire) -> M:
        """An instance that holds the wire's values; unknown fields are left out.

        Raises:
            InvalidDocumentError: A field is missing, or is not of its type.
        """
        try:
            return self.build(wire)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _invalid(self._model, wire) from error


class _Source:
    """Writes the functions of one class as Python."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self._names: dict[str, object] = {
            "new": object.__new__,
            "setattr": object.__setattr__,
            "model": model,
            "required": {name for name, field in model.model_fields.items() if field.is_required()},
        }

    def function(self, name: str, lines: list[str]) -> Any:  # noqa: ANN401
        exec(compile("\n    ".join(lines), f"<{name} {self._model.__name__}>", "exec"), self._names)  # noqa: S102
        return self._names[name]

    def load_lines(self) -> list[str]:
        fields = self._model.model_fields
        values = ", ".join(f"{name!r}: {self._loaded(name, field)}" for name, field in fields.items())
        private = ", ".join(
            f"{name!r}: "
            + (f"{attribute.default_factory.__name__}()" if attribute.default_factory else repr(attribute.default))
            for name, attribute in self._model.__private_attributes__.items()
        )
        return [
            "def load(wire):",
            "get = wire.get",
            f"values = {{{values}}}",
            "present = required.copy()",
            *(
                f"if values[{name!r}] is not None: present.add({name!r})"
                for name, field in fields.items()
                if not field.is_required()
            ),
            "self = new(model)",
            "setattr(self, '__dict__', values)",
            "setattr(self, '__pydantic_fields_set__', present)",
            "setattr(self, '__pydantic_extra__', None)",
            f"setattr(self, '__pydantic_private__', {'{' + private + '}' if private else None})",
            "return self",
        ]

    def _loaded(self, name: str, field: FieldInfo) -> str:
        wire = field.alias or name
        kind, optional = unwrap(field.annotation)
        value = f"wire[{wire!r}]"
        if kind is int:
            # Another driver may have written an integral double; and the driver's own Int64 is no plain int.
            value = f"int({value})"
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            self._names[f"load_{name}"] = Codec(kind).build
            value = f"load_{name}({value})"
        if not optional:
            return value
        return f"get({wire!r})" if value.startswith("wire") else f"{value} if get({wire!r}) is not None else None"

    def dump_lines(self) -> list[str]:
        fields = self._model.model_fields.items()
        always = [(name, field) for name, field in fields if not unwrap(field.annotation)[1]]
        values = ", ".join(f"{field.alias or name!r}: {self._dumped(name, field)}" for name, field in always)
        lines = ["def dump(self):", "values = self.__dict__", f"wire = {{{values}}}"]
        for name, field in fields:
            if unwrap(field.annotation)[1]:
                lines.append(f"value = values[{name!r}]")
                lines.append(
                    f"if value is not None: wire[{field.alias or name!r}] = {self._dumped(name, field, 'value')}"
                )
        return [*lines, "return wire"]

    def _dumped(self, name: str, field: FieldInfo, value: str | None = None) -> str:
        value = value or f"values[{name!r}]"
        kind, _ = unwrap(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            self._names[f"dump_{name}"] = Codec(kind).dump
            return f"dump_{name}({value})"
        return value


def _invalid(model: type[BaseModel], wire: Wire) -> InvalidDocumentError:
    """Validate slowly, to say which field is wrong."""
    settings = getattr(model, "Settings", None)
    place = f"{getattr(settings, 'name', model.__name__)} {wire.get('_id', '')}".strip()
    try:
        model.model_validate(wire)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return InvalidDocumentError(f"{place}: the field {field} is not as the schema has it ({first['msg'].lower()}).")
    return InvalidDocumentError(f"{place}: the document cannot be read.")
