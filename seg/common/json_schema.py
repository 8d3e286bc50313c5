"""JSON of attrs classes, and what describes it (JSON Schema 2020-12): the class is the one place where its members stand.

A field's type says what its value is; ``Annotated`` adds a text for people, and a `Keywords` for what a type can't say. A field without a
default is required; one whose default is None may be left out, and isn't null. A value of `ABSENT` is left out of the JSON. What a class as a
whole has beside its fields stands in its class variable ``SCHEMA``.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

Schema = dict[str, Any]


class Absent(enum.Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@attrs.frozen(init=False)
class Keywords:
    """Keywords of a schema, by their names: ``Keywords(minimum=0)``."""

    pairs: tuple[tuple[str, Any], ...]

    def __init__(self, **keywords: Any) -> None:
        self.__attrs_init__(tuple(keywords.items()))

    def as_schema(self) -> Schema:
        """They as JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self.pairs}


@attrs.frozen
class DescribedAs:
    """The value is described by another type than the field has: it is looked at later."""

    kind: Any


Count = Annotated[int, Keywords(minimum=0)]
Time = Annotated[float, Keywords(minimum=0), "POSIX seconds"]

_SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}


# --- values ------------------------------------------------------------------------------------------


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(kind))


def members(value: object) -> dict[str, Any]:
    """An attrs instance as a JSON object, its values as they are; for ``json.dumps(default=members)``.

    :raises TypeError: it is something else.
    """
    kind: Any = type(value)
    if not attrs.has(kind):
        raise TypeError(f"{kind.__name__} has no JSON")
    pairs = ((name, getattr(value, name)) for name in _names(kind))
    return {name: member for name, member in pairs if member is not ABSENT}


def plain(value: object) -> Any:
    """The same in dicts and lists, as who reads the JSON gets it."""
    return json.loads(json.dumps(value, default=members))


# --- types -------------------------------------------------------------------------------------------


def hints(kind: Any) -> dict[str, Any]:
    """The types of an attrs class's fields, by name."""
    return _hints(kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    found = get_type_hints(kind, include_extras=True)
    return {name: found[name] for name in _names(kind)}


def given(hint: Any) -> Any:
    """The type of what may be left out, when it is there."""
    if get_origin(hint) is Annotated:
        kind, *notes = get_args(hint)
        return Annotated[(given(kind), *notes)]
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    return reduce(or_, kinds) if get_origin(hint) in (Union, UnionType) else hint


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types that a value may have, None and `ABSENT` left out."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return tuple(each for each in kinds if each not in (NoneType, Absent))


class SchemaWriter:
    """Makes schemas; each class that is met becomes one of `components`.

    :param name: what a class is called there.
    :param where: the address of a component.
    """

    def __init__(self, name: Callable[[type], str], where: str = "#/components/schemas/") -> None:
        self.components: dict[str, Schema] = {}
        self._name = name
        self._where = where

    def of(self, kind: Any) -> Schema:
        """The schema of a type.

        :raises TypeError: there is none.
        """
        origin = get_origin(kind)
        if origin is Annotated:
            return self._annotated(*get_args(kind))
        if origin in (Union, UnionType):
            return self._union(kind)
        if origin is Literal:
            values = list(get_args(kind))
            return {"const": values[0]} if len(values) == 1 else {"enum": values}
        if origin in (tuple, Sequence):
            return {"type": "array", "items": self.of(get_args(kind)[0])}
        if origin is Mapping:
            inner = self.of(get_args(kind)[1])
            return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}
        if kind is Any:
            return {}
        if kind in _SCALARS:
            return {"type": _SCALARS[kind]}
        return self._component(kind)

    def member(self, hint: Any, default: Any) -> Schema:
        """The schema of a field, or of a parameter."""
        schema = self.of(given(hint) if default is None else hint)
        if isinstance(default, str | bool | int | float) and default != "":
            schema["default"] = default
        return schema

    def _annotated(self, kind: Any, *notes: Any) -> Schema:
        schema = self.of(next((note.kind for note in notes if isinstance(note, DescribedAs)), kind))
        for note in notes:
            if isinstance(note, Keywords):
                schema |= note.as_schema()
            elif isinstance(note, str):
                schema["description"] = note
        return schema

    def _union(self, kind: Any) -> Schema:
        schemas = [self.of(each) for each in alternatives(kind)]
        if NoneType in get_args(kind):
            schemas.append({"type": "null"})
        if len(schemas) == 1:
            return schemas[0]
        if schemas[0].get("type") in _SCALARS.values() and all(schema.keys() == {"type"} for schema in schemas[1:]):
            return schemas[0] | {
                "type": [schema["type"] for schema in schemas]
            }  # its keywords say nothing of the others
        return {"oneOf": schemas}

    def _component(self, kind: type) -> Schema:
        name = self._name(kind)
        if name not in self.components:
            self.components[name] = {}  # it may contain itself
            self.components[name] = {"enum": [*kind]} if issubclass(kind, enum.StrEnum) else self._object(kind)
        return {"$ref": f"{self._where}{name}"}

    def _object(self, kind: type) -> Schema:
        if not attrs.has(kind):
            raise TypeError(f"{kind} has no schema")
        defaults = {field.name: field.default for field in attrs.fields(kind)}
        needed = [name for name, default in defaults.items() if default is attrs.NOTHING]
        schema: Schema = {"type": "object"}
        if needed:
            schema["required"] = needed
        schema["properties"] = {name: self.member(hint, defaults[name]) for name, hint in hints(kind).items()}
        keywords: Keywords = getattr(kind, "SCHEMA", Keywords())
        return schema | keywords.as_schema()
