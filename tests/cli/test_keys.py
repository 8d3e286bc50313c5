"""Values of keys as somebody types them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.cli.keys import fault_of, shown, typed
from seg.config.receive import Auth
from seg.config.values import convert, specs


class TableTests(SynchronousTestCase):
    """A table of arrays."""

    spec = specs(Auth)["senders"]

    def test_there_and_back(self) -> None:
        """What is shown can be typed, and means the same."""
        for value in ({}, {"a@x.test": ("a@x.test", "@l.x.test"), "b": ("ALL",)}, {"nobody": ()}):
            self.assertEqual(convert(self.spec, typed(self.spec, shown(self.spec, value))), value)

    def test_typed(self) -> None:
        """Spaces don't matter; what is no table is said to be none."""
        self.assertEqual(
            typed(self.spec, " a = x@y.test z@y.test ;b=ALL; "), {"a": ["x@y.test", "z@y.test"], "b": ["ALL"]}
        )
        self.assertEqual(fault_of(self.spec, "alice"), 'wants a table of arrays of strings, found the string "alice"')
        self.assertEqual(fault_of(self.spec, "a=x@y.test"), "")
