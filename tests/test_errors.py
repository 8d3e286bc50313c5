"""Errors: the type, the code and the enhanced code can't disagree, and the text holds the remote's own words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.errors import Permanent, Temporary


class DeliveryErrorTests(SynchronousTestCase):
    """`Temporary` and `Permanent`."""

    def test_classes(self) -> None:
        """A class that doesn't fit the type is a mistake of the caller's."""
        for kind, enhanced, code in ((Temporary, "5.1.1", 0), (Permanent, "4.1.1", 0), (Temporary, "4.1.1", 550)):
            self.assertRaises(ValueError, kind, enhanced, "text", code)

    def test_text(self) -> None:
        """As one line for people: status, text and, where a server replied, what it said."""
        self.assertEqual(str(Temporary("4.4.1", "No answer from host")), "4.4.1 No answer from host")
        refused = Permanent("5.1.1", "Bad address", 550, ("5.1.1 no such", "user here"))
        self.assertEqual(str(refused), "5.1.1 Bad address (550 5.1.1 no such user here)")
