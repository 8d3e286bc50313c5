"""Details of RFC 5321 that clients in the field get wrong or rely on: what Postfix (3.7, with its defaults) does, what we do, and why.

The same table stands in docs/smtp.md.
"""

from __future__ import annotations

from tests.receive.front_door import DATA, EHLO, MAIL, RCPT, FrontDoorCase

# What comes behind the greeting; the codes of Postfix; ours, where they are others; why.
TABLE: tuple[tuple[str, bytes, list[int], list[int] | None, str], ...] = (
    ("HELO without a name", b"HELO\r\n", [501], None, "nothing to show in Received"),
    ("EHLO without a name", b"EHLO\r\n", [501], None, "the same"),
    ("EHLO with spaces only", b"EHLO   \r\n", [501], None, "the same"),
    ("HELO with two words", b"HELO my pc\r\n", [250], [501], "§4.1.1.1: one name; two can't be written into Received"),
    ("HELO with an odd name", b"HELO my_pc\r\n", [250], None, "§4.1.4: no mail is refused for it"),
    ("EHLO again", EHLO + EHLO, [250, 250], None, "§4.1.4: as RSET"),
    ("EHLO within a transaction", EHLO + MAIL + EHLO + RCPT, [250, 250, 250, 503], None, "§4.1.4: as RSET"),
    ("MAIL without EHLO", MAIL, [250], [503], "§4.1.4: EHLO or HELO has to come first"),
    ("RCPT before MAIL", EHLO + RCPT, [250, 503], None, "§4.1.4"),
    ("DATA before RCPT", EHLO + MAIL + DATA, [250, 250, 554], None, "§3.3"),
    ("MAIL twice", EHLO + MAIL + MAIL, [250, 250, 503], None, "§4.1.4"),
    ("lower case", b"ehlo x\r\nmail from:<a@one.test>\r\nrcpt to:<b@two.test>\r\nrset\r\n", [250] * 4, None, "§2.4"),
    (
        "a space behind the colon",
        EHLO + b"MAIL FROM: <a@one.test>\r\nRCPT TO:  <b@two.test>\r\n",
        [250] * 3,
        None,
        "many small clients write one",
    ),
    ("a space before the colon", EHLO + b"MAIL FROM :<a@one.test>\r\n", [250, 501], None, "no client does"),
    (
        "spaces at the end",
        b"EHLO x  \r\nMAIL FROM:<a@one.test>  \r\nRCPT TO:<b@two.test> \r\nRSET \r\n",
        [250] * 4,
        None,
        "§4.1.1: tolerated",
    ),
    (
        "spaces before a command",
        EHLO + b" NOOP\r\n",
        [250, 250],
        [250, 500],
        "a line that isn't a command is never guessed at",
    ),
    ("several spaces behind the verb", EHLO + b"MAIL   FROM:<a@one.test>\r\n", [250, 250], None, "harmless"),
    (
        "no brackets",
        EHLO + b"MAIL FROM:a@one.test\r\nRCPT TO:b@two.test\r\n",
        [250] * 3,
        None,
        "scanners and controllers; from who may relay (lenient_addresses)",
    ),
    (
        "a name before the address",
        EHLO + b"MAIL FROM:Me <a@one.test>\r\n",
        [250, 555],
        [250, 501],
        "can be read in two ways",
    ),
    (
        "an address without a domain",
        EHLO + b"MAIL FROM:<root>\r\n",
        [250, 250],
        None,
        "the domain is ours, as with Postfix",
    ),
    ("no sender at all", EHLO + b"MAIL FROM:\r\n", [250, 501], None, "isn't <>"),
    (
        "AUTH=<> where AUTH isn't offered",
        EHLO + b"MAIL FROM:<a@one.test> AUTH=<>\r\n",
        [250, 250],
        None,
        "says nothing: taken without an offer (RFC 4954 §5) too",
    ),
    ("SIZE=0", EHLO + b"MAIL FROM:<a@one.test> SIZE=0\r\n", [250, 250], None, "RFC 1870: not known"),
    ("SIZE without a number", EHLO + b"MAIL FROM:<a@one.test> SIZE=\r\n", [250, 501], None, "RFC 1870 §5"),
    ("BODY in lower case", EHLO + b"MAIL FROM:<a@one.test> body=8bitmime\r\n", [250, 250], None, "§2.4"),
    (
        "an unknown BODY",
        EHLO + b"MAIL FROM:<a@one.test> BODY=BINARYMIME\r\n",
        [250, 555],
        [250, 501],
        "isn't offered; the keyword is known",
    ),
    ("an unknown parameter", EHLO + b"MAIL FROM:<a@one.test> X=1\r\n", [250, 555], None, "§4.1.1.11"),
    ("an unknown parameter of RCPT", EHLO + MAIL + b"RCPT TO:<b@two.test> X=1\r\n", [250, 250, 555], None, "§4.1.1.11"),
    ("parameters behind HELO", b"HELO x\r\nMAIL FROM:<a@one.test> SIZE=9\r\n", [250, 250], None, "harmless"),
    ("an empty line", EHLO + b"\r\n" + MAIL, [250, 500, 250], None, "an error, and the session goes on"),
    ("an unknown command", EHLO + b"XYZZY\r\n" + MAIL, [250, 500, 250], None, "§4.2.4"),
    ("NOOP with words", EHLO + b"NOOP hello\r\n", [250, 250], None, "§4.1.1.9"),
    ("RSET with words", EHLO + b"RSET now\r\n", [250, 501], None, "§4.1.1.5"),
    ("QUIT with words", EHLO + b"QUIT now\r\n", [250, 221], [250, 501], "§4.1.1.10"),
    ("DATA with words", EHLO + MAIL + RCPT + b"DATA now\r\n", [250, 250, 250, 501], None, "§4.1.1.4"),
    ("a recipient twice", EHLO + MAIL + RCPT + RCPT, [250, 250, 250, 250], None, "the RFC says nothing against it"),
    (
        "lines that end with LF",
        b"EHLO x\nNOOP\n\r\n",
        [250, 250, 500],
        [500],
        "§2.3.8: nothing behind a bare LF is run",
    ),
)


class FieldTests(FrontDoorCase):
    """Each row, from a client that may relay."""

    def test_each(self) -> None:
        """We answer as the table says."""
        for name, said, postfix, ours, why in TABLE:
            client = self.connect()
            self.assertEqual(client.codes(said), ours or postfix, f"{name}: {why}")
            client.vanish()

    def test_why(self) -> None:
        """Where we do otherwise than Postfix the table says so, and each row says why."""
        for name, _, postfix, ours, why in TABLE:
            self.assertTrue(why and ours != postfix, name)
        self.assertEqual(len({name for name, *_ in TABLE}), len(TABLE))

    def test_goes_on(self) -> None:
        """Behind any of them a message is taken, on the same connection, unless it has ended."""
        for name, said, _, _, _ in TABLE:
            client = self.connect()
            client.say(said)
            if not client.closed and "lines" not in name:
                self.assertEqual(client.codes(EHLO + MAIL + RCPT + DATA + b"A: b\r\n\r\n.\r\n")[-1], 250, name)
            client.vanish()
