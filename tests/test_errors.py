"""Errors: the type, the code and the enhanced code can't disagree, and the text holds the remote's own words."""

from __future__ import annotations

import errno

from twisted.internet.error import ConnectBindError, ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.errors import LOCAL_ERRNOS, LocalFault, Permanent, Temporary, local_fault


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
        waits = Temporary("4.7.0", "MAIL refused with 530", remote=("5.7.0 Must issue STARTTLS",))
        self.assertEqual(str(waits), "4.7.0 MAIL refused with 530 (5.7.0 Must issue STARTTLS)")
        odd = Temporary("4.5.0", "Unexpected reply to MAIL: 299 what", remote=("what",))
        self.assertEqual(str(odd), "4.5.0 Unexpected reply to MAIL: 299 what")


class LocalFaultTests(SynchronousTestCase):
    """What the gateway lacks itself is told from what another host did."""

    def test_errnos(self) -> None:
        """Each errno that is this machine's own is found, as OSError and within Twisted's error."""
        for number in LOCAL_ERRNOS:
            for error in (OSError(number, "why"), ConnectBindError(number, "why")):
                self.assertIsInstance(local_fault(error), LocalFault, error)

    def test_behind_others(self) -> None:
        """An error of another kind that was raised because of it doesn't hide it."""
        try:
            try:
                raise OSError(errno.EMFILE, "Too many open files")
            except OSError as error:
                raise RuntimeError("fetch failed") from error
        except RuntimeError as error:
            found = local_fault(error)
        self.assertEqual(str(found), "Too many open files")
        self.assertEqual(str(found and found.temporary()), "4.3.0 Too many open files")

    def test_others(self) -> None:
        """What a peer or the network did is none."""
        for error in (
            ConnectionRefusedError(errno.ECONNREFUSED, "no"),
            OSError(errno.ENETUNREACH, "no"),
            ValueError("no"),
            None,
        ):
            self.assertIsNone(local_fault(error), error)
