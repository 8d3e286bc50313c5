"""Frozen attrs classes as JSON objects and as short tuples, field by field. What an object says is believed in nothing.

The fields of the class are the table: a field stands under its name and may be left out where it has its default, so that a new one needs
a default and nothing else. An older reader passes over what it doesn't know. Numbers are whole and not negative where the class says
int, and finite where it says float; True is no number, and 1 is no flag.
"""

from __future__ import annotations

import enum
import math
import operator
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

T = TypeVar("T")
_MISSING = object()


class FieldError(ValueError):
    """A value isn't what its field holds. The text says which field, and what it should be."""


@attrs.frozen
class FieldForm:
    """How the values of one type stand in JSON.

    :ivar what: what a value that is refused should have been: "text".
    :ivar dump: to JSON; None: as it is.
    :ivar load: from JSON; raises `ValueError`, with a text if that says more than `what`.
    :ivar pack: to what `marshal` can write; the same as `dump` unless given.
    :ivar unpack: back from it.
    """

    what: str
    dump: Callable[[Any], Any] | None
    load: Callable[[Any], Any]
    pack: Callable[[Any], Any] | None = attrs.field(default=attrs.Factory(lambda self: self.dump, takes_self=True))
    unpack: Callable[[Any], Any] = attrs.field(default=attrs.Factory(lambda self: self.load, takes_self=True))


@attrs.frozen
class _CodedField:
    key: str
    default: Any  # `attrs.NOTHING`: it always stands there
    form: FieldForm
    plain: type | None  # any value of this type will do


class FieldCodec(Generic[T]):
    """One class with its table.

    :param cls: frozen, by attrs; its fields are numbers, texts, flags, enums of text, tuples and frozensets of these, and what `forms`
        knows; its defaults are values, not factories.
    :param forms: how fields stand that are anything else, by name.
    :param keys: the keys of fields that don't stand under their names.
    :param always: fields that always stand there, whether they have defaults or not.
    """

    def __init__(
        self,
        cls: type[T],
        forms: Mapping[str, FieldForm] | None = None,
        keys: Mapping[str, str] | None = None,
        always: Collection[str] = (),
    ) -> None:
        forms, keys, hints = forms or {}, keys or {}, get_type_hints(cls)
        fields = attrs.fields(cls)  # type: ignore[arg-type]  # it is of attrs
        self._cls = cls
        self._fields = tuple(
            _CodedField(
                keys.get(each.name, each.name),
                attrs.NOTHING if each.name in always else each.default,
                forms.get(each.name) or _form(hints[each.name]),
                hints[each.name] if hints[each.name] in (str, bool) else None,
            )
            for each in fields
        )
        self._values = operator.attrgetter(*[each.name for each in fields])
        self._usual = tuple(each.default for each in fields)
        self._packing = [(n, each.form.pack) for n, each in enumerate(self._fields) if each.form.pack is not None]
        self._unpacking = [(n, each.form.unpack) for n, each in enumerate(self._fields) if each.form.pack is not None]

    def to_object(self, value: T) -> dict[str, Any]:
        """The value as JSON has it, in the order of the fields."""
        entry = {}
        for field, each in zip(self._fields, self._values(value), strict=True):
            if each != field.default:
                dump = field.form.dump
                entry[field.key] = each if dump is None else dump(each)
        return entry

    def from_object(self, entry: Mapping[str, Any]) -> T:
        """The value that an object stands for; keys that aren't known are passed over.

        :raises FieldError: something is missing, or isn't what it should be.
        """
        values = []
        for field in self._fields:
            each = entry.get(field.key, _MISSING)
            if each is _MISSING:
                each = field.default
                if each is attrs.NOTHING:
                    raise FieldError(f"{field.key!r} isn't {field.form.what}")
            elif type(each) is not field.plain:
                try:
                    each = field.form.load(each)
                except ValueError as error:
                    raise FieldError(str(error) or f"{field.key!r} isn't {field.form.what}") from None
            values.append(each)
        return self._cls(*values)

    def to_tuple(self, value: T) -> tuple[Any, ...]:
        """The value for `from_tuple` of the same program: None for what has its default, and nothing behind the last that hasn't."""
        values, usual = self._values(value), self._usual
        count = len(values)
        while count and values[count - 1] == usual[count - 1]:
            count -= 1
        row = [None if each == usual[number] else each for number, each in enumerate(values[:count])]
        for number, pack in self._packing:
            if number < count and row[number] is not None:
                row[number] = pack(row[number])
        return tuple(row)

    def from_tuple(self, row: tuple[Any, ...]) -> T:
        """The value of which `to_tuple` made this."""
        values = [usual if each is None else each for each, usual in zip(row, self._usual, strict=False)]
        for number, unpack in self._unpacking:
            if number < len(row) and row[number] is not None:
                values[number] = unpack(values[number])
        return self._cls(*values)


def _form(hint: Any) -> FieldForm:
    """How values of a type stand in JSON."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and len(inner) == 2 and inner[1] is type(None):
        return _optional(_form(inner[0]))
    if origin is tuple and inner[1:] == (...,):
        return _several(tuple, _form(inner[0]))
    if origin is frozenset:
        return _several(frozenset, _form(inner[0]))
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return FieldForm("text", str, lambda value: hint(_text(value)))
    raise TypeError(f"{hint} has no form in JSON")


def _optional(form: FieldForm) -> FieldForm:
    """None is null."""
    dump, load = form.dump, form.load
    return FieldForm(
        form.what,
        None if dump is None else lambda value: None if value is None else dump(value),
        lambda value: None if value is None else load(value),
    )


def _several(kind: type[tuple[Any, ...]] | type[frozenset[Any]], form: FieldForm) -> FieldForm:
    """A list; those of a set are sorted."""
    dump, load = form.dump, form.load
    order: Callable[[Any], list[Any]] = sorted if kind is frozenset else list
    return FieldForm(
        f"a list of {form.what}",
        order if dump is None else lambda value: order(map(dump, value)),
        lambda value: kind(map(load, listed(value))),
    )


def listed(value: Any) -> list[Any]:
    """:raises ValueError: it isn't a list."""
    if not isinstance(value, list):
        raise ValueError
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:  # bool is an int to isinstance
        raise ValueError
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        raise ValueError from None
    if not math.isfinite(number):
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


_PLAIN: Mapping[Any, FieldForm] = {
    int: FieldForm("a whole number", None, _whole),
    float: FieldForm("a number", None, _number),
    str: FieldForm("text", None, _text),
    bool: FieldForm("true or false", None, _flag),
}
