"""A19: nothing but CRLF . CRLF ends a message, so no second one can be smuggled inside."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.smtp.accepting import TRANSACTION, AcceptingServer

SMUGGLED = b"MAIL FROM:<admin@one.test>\r\nRCPT TO:<victim@two.test>\r\nDATA\r\nsmuggled\r\n.\r\n"
# What stands between the first message's text and the smuggled commands, and the reply to it all.
SEQUENCES = {
    b"\n.\n": b"550 5.6.0 Message has a bare LF",
    b"\n.\r\n": b"550 5.6.0 Message has a bare LF",
    b"\r\n.\n": b"550 5.6.0 Message has a bare LF",
    b"\n.\r": b"550 5.6.0 Message has a bare LF",
    b"\r.\n": b"550 5.6.0 Message has a bare CR",
    b"\r.\r": b"550 5.6.0 Message has a bare CR",
    b"\r.\r\n": b"550 5.6.0 Message has a bare CR",
    b"\r\n.\r": b"550 5.6.0 Message has a bare CR",
    b"\r\n.\r\r\n": b"550 5.6.0 Message has a bare CR",
    b"\r\r\n.\r\r\n": b"550 5.6.0 Message has a bare CR",
    b"\n\n.\r\n": b"550 5.6.0 Message has a bare LF",
    b"\r\n\n.\n\r\n": b"550 5.6.0 Message has a bare LF",
    b"\r\n\0.\r\n": b"550 5.6.0 Message has a NUL",
    b"\r\n.\0\r\n": b"550 5.6.0 Message has a NUL",
    b"\0\r\n.\0\r\n": b"550 5.6.0 Message has a NUL",
    b"\r\0\n.\r\0\n": b"550 5.6.0 Message has a NUL",
    b"\r\n.\r\0\n": b"550 5.6.0 Message has a NUL",
    b"\r\n. \r\n": b"250 2.0.0",
    b"\r\n .\r\n": b"250 2.0.0",
    b"\r\n.\t\r\n": b"250 2.0.0",
    b"\r\n..\r\n": b"250 2.0.0",
    b"\x85.\x85": b"250 2.0.0",
    b"\xe2\x80\xa8.\xe2\x80\xa8": b"250 2.0.0",
    b"\x0b.\x0b\x0c.\x0c": b"250 2.0.0",
}


class SmugglingTests(SynchronousTestCase):
    """Each sequence, followed by a smuggled transaction."""

    def check(self, pieces: int, normalise: bool) -> None:
        for sequence, wanted in SEQUENCES.items():
            server = AcceptingServer(normalise=normalise)
            server.feed(TRANSACTION)
            data = b"text" + sequence + SMUGGLED
            said = b""
            for start in range(0, len(data), pieces):
                said += server.feed(data[start : start + pieces])
            if normalise and b"\0" not in sequence:
                wanted = b"250 2.0.0"
            self.assertTrue(said.startswith(wanted), (sequence, said))
            self.assertEqual(said.count(b"\r\n"), 1, sequence)
            self.assertEqual(len(server.messages), 1 if wanted.startswith(b"250") else 0, sequence)
            for message in server.messages:
                self.assertIn(b"MAIL FROM:<admin@one.test>", message)
                self.assertNotIn(b"\r", message.replace(b"\r\n", b""))
                self.assertNotIn(b"\n", message.replace(b"\r\n", b""))

    def test_refused(self) -> None:
        """With `refuse` the whole, smuggled part included, is one message, and is refused by its name."""
        self.check(10000, normalise=False)

    def test_refused_in_pieces(self) -> None:
        """However it is cut."""
        self.check(1, normalise=False)
        self.check(3, normalise=False)

    def test_normalised(self) -> None:
        """With `normalise` it is one message of clean lines."""
        self.check(10000, normalise=True)
        self.check(1, normalise=True)
