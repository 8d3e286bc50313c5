"""Frozen classes as JSON objects and as tuples."""

from __future__ import annotations

import enum
import json
import marshal

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.common.field_codec import FieldCodec, FieldError


class Colour(enum.StrEnum):
    """A closed set."""

    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Before:
    """A class of the version before."""

    number: int
    name: str = ""


@attrs.frozen
class After:
    """The same class with what came later: each has a default, and that is all."""

    number: int
    name: str = ""
    when: float = 0.0
    sure: bool = False
    colour: Colour = Colour.RED
    words: tuple[str, ...] = ()
    colours: frozenset[Colour] | None = None
    limit: int | None = None


BEFORE, AFTER = FieldCodec(Before), FieldCodec(After)
afters = st.builds(
    After,
    st.integers(0, 10**15),
    st.text(),
    st.floats(0, 1e11),
    st.booleans(),
    st.sampled_from(Colour),
    st.lists(st.text()).map(tuple),
    st.none() | st.frozensets(st.sampled_from(Colour)),
    st.none() | st.integers(0, 9),
)


class FieldCodecTests(SynchronousTestCase):
    """The fields of a class are its table."""

    @given(afters)
    def test_round_trip(self, value: After) -> None:
        """Whatever the fields hold comes back, out of JSON and out of a tuple that marshal takes."""
        self.assertEqual(AFTER.from_object(json.loads(json.dumps(AFTER.to_object(value)))), value)
        self.assertEqual(AFTER.from_tuple(marshal.loads(marshal.dumps(AFTER.to_tuple(value)))), value)

    def test_new_fields(self) -> None:
        """A new field with a default is read from old objects, and passed over by the version before."""
        self.assertEqual(AFTER.from_object(BEFORE.to_object(Before(7, "x"))), After(7, "x"))
        self.assertEqual(BEFORE.from_object(AFTER.to_object(After(7, "x", 1.0, True))), Before(7, "x"))

    def test_small(self) -> None:
        """What is as usual isn't written, but where it always was; a tuple ends with the last that isn't."""
        self.assertEqual(AFTER.to_object(After(7)), {"number": 7})
        always = FieldCodec(After, keys={"name": "called"}, always={"name", "colours"})
        self.assertEqual(always.to_object(After(7)), {"number": 7, "called": "", "colours": None})
        self.assertEqual(AFTER.to_tuple(After(7)), (7,))
        self.assertEqual(AFTER.to_tuple(After(7, sure=True)), (7, None, None, True))

    def test_strict(self) -> None:
        """What isn't of the field's type is refused by name, and nothing is taken for something like it."""
        always = FieldCodec(After, always={"name"})
        for entry, said in (
            ({}, "'number' isn't a whole number"),
            ({"number": 7}, "'name' isn't text"),
            *(({"number": wrong, "name": ""}, "'number' isn't a whole number") for wrong in (True, "7", 7.0, -1, None)),
            *((entry_of("when", wrong), "'when' isn't a number") for wrong in (True, "7", float("nan"), 10**400)),
            *((entry_of("sure", wrong), "'sure' isn't true or false") for wrong in (1, 0, "true", None)),
            *((entry_of("words", wrong), "'words' isn't a list of text") for wrong in ("ab", {"a": 1}, [1], None)),
            (entry_of("colour", 1), "'colour' isn't text"),
            (entry_of("colour", "green"), "'green' is not a valid Colour"),
            (entry_of("colours", ["green"]), "'green' is not a valid Colour"),
            (entry_of("limit", "1"), "'limit' isn't a whole number"),
        ):
            error = self.assertRaises(FieldError, always.from_object, entry)
            self.assertEqual(str(error), said)

    def test_unknown_type(self) -> None:
        """A field that nobody has said how to write is found at the start."""

        @attrs.frozen
        class Odd:
            """Holds what JSON doesn't know."""

            when: complex = 0j

        self.assertRaises(TypeError, FieldCodec, Odd)


def entry_of(key: str, value: object) -> dict[str, object]:
    """An object that is right but for one value."""
    return {"number": 7, "name": "", key: value}
