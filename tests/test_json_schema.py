"""Attrs classes as JSON, and what describes it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import attrs
from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from seg.common.json_schema import ABSENT, Absent, Count, DescribedAs, Keywords, SchemaWriter, members, plain


class Colour(enum.StrEnum):
    """A closed set."""

    RED = "red"


@attrs.frozen
class Inner:
    """A part."""

    SCHEMA: ClassVar = Keywords(additionalProperties=False)

    colour: Colour


@attrs.frozen
class Whole:
    """Every kind of field."""

    count: Annotated[Count, "how many"]
    inner: Inner | None
    each: tuple[Inner, ...]
    by_name: Mapping[str, int]
    either: bool | str | None
    later: Annotated[object, DescribedAs(str)]
    word: Literal["a", "b"] = "a"
    perhaps: Annotated[str | None, "left out"] = None
    missing: int | Absent = ABSENT


class SchemaTests(SynchronousTestCase):
    """`SchemaWriter` and `members`."""

    def setUp(self) -> None:
        self.writer = SchemaWriter(lambda kind: kind.__name__)
        self.schema = {**self.writer.of(Whole), "components": {"schemas": self.writer.components}}

    def test_value(self) -> None:
        """A value is as its class's schema says; what is absent isn't there."""
        value = plain(Whole(1, None, (Inner(Colour.RED),), {"x": 2}, None, "y", perhaps="z"))
        self.assertEqual(value["each"], [{"colour": "red"}])
        self.assertNotIn("missing", value)
        Draft202012Validator(self.schema).validate(value)
        for wrong in ({"count": -1}, {"inner": 1}, {"each": [{"colour": "blue"}]}, {"perhaps": None}, {"word": "c"}):
            self.assertTrue([*Draft202012Validator(self.schema).iter_errors(value | wrong)], wrong)
        self.assertTrue([*Draft202012Validator(self.schema).iter_errors(value | {"each": [{"colour": "red", "x": 1}]})])
        self.assertRaises(TypeError, members, 1)

    def test_schema(self) -> None:
        """Texts, required fields, defaults and unions are as the class has them."""
        whole = self.writer.components["Whole"]
        self.assertEqual(whole["required"], ["count", "inner", "each", "by_name", "either", "later"])
        properties: dict[str, Any] = whole["properties"]
        self.assertEqual(properties["count"], {"type": "integer", "minimum": 0, "description": "how many"})
        self.assertEqual(properties["inner"], {"oneOf": [{"$ref": "#/components/schemas/Inner"}, {"type": "null"}]})
        self.assertEqual(properties["either"], {"type": ["boolean", "string", "null"]})
        self.assertEqual(properties["later"], {"type": "string"})
        self.assertEqual(properties["word"], {"enum": ["a", "b"], "default": "a"})
        self.assertEqual(properties["perhaps"], {"type": "string", "description": "left out"})
        self.assertRaises(TypeError, self.writer.of, Unknown)


class Unknown:
    """Nothing that has a schema."""
