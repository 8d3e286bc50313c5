"""Whatever stands in an envelope of the spool, a client says the commands that are meant and no others."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import BodyType, DSNNotify, DSNRet, Envelope, Recipient
from seg.smtp.client import ClientConnection
from seg.smtp.client_events import ContentWanted
from seg.smtp.commands import CommandError, parse_mail, parse_rcpt

OFFERS = b"250-x\r\n250-PIPELINING\r\n250-DSN\r\n250-SIZE\r\n250-8BITMIME\r\n%s250 ENHANCEDSTATUSCODES\r\n"
PIECES = ("a", "@", "b.test", "\r\n", "\n", "\r", "\0", ">", "<", " ", '"', "\\", "+0D", "+", "=", ";", "rfc822;", "\x7f", "\x85", "\u2028", "é",
          "> NOTIFY=NEVER", "\r\nRCPT TO:<x@y.test>", "\ud800", "[", ":", ",", "\uff1e", "\uff20")  # fmt: skip
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.text(max_size=40))
ADDRESSES = st.one_of(TEXTS, TEXTS.map(lambda text: f'"{text}"@b.test'), TEXTS.map(lambda text: f"a@{text}"))


class EnvelopeTests(SynchronousTestCase):
    """The commands of one transaction."""

    @given(
        reverse_path=ADDRESSES,
        addresses=st.lists(ADDRESSES, min_size=1, max_size=3),
        envid=TEXTS,
        orcpt=st.one_of(st.just(""), TEXTS, TEXTS.map(lambda text: f"rfc822;{text}")),
        utf8=st.booleans(),
        chosen=st.tuples(st.sampled_from(DSNRet), st.sampled_from(BodyType), st.frozensets(st.sampled_from(DSNNotify))),
    )
    @example(
        'a@b.test" > c"',
        ['x@y.test"> NOTIFY=NEVER"'],
        "a\r\nQUIT",
        "",
        False,
        (DSNRet.FULL, BodyType.SEVEN_BIT, frozenset()),
    )
    @example("a@b.test", ["x@y.test"], "", "rfc822;x\r\nRCPT", True, (DSNRet.FULL, BodyType.SEVEN_BIT, frozenset()))
    @example(
        "a@b.test", ['"x y"@y.test', '"x> y"@y.test'], "", "", True, (DSNRet.FULL, BodyType.SEVEN_BIT, frozenset())
    )
    def test_intended_commands(
        self,
        reverse_path: str,
        addresses: list[str],
        envid: str,
        orcpt: str,
        utf8: bool,
        chosen: tuple[DSNRet, BodyType, frozenset[DSNNotify]],
    ) -> None:
        """MAIL, a RCPT for each recipient without a result, and DATA, each with the arguments that are meant."""
        ret, body, notify = chosen
        people = tuple(Recipient(rid, address, notify=notify, orcpt=orcpt) for rid, address in enumerate(addresses))
        envelope = Envelope(1, reverse_path, people, 0.0, body=body, ret=ret, envid=envid)
        core = ClientConnection("us.test")
        core.hello()
        core.receive(b"220 x\r\n")
        core.data_to_send()
        core.receive(OFFERS % (b"250-SMTPUTF8\r\n" if utf8 else b""))
        done = core.begin(envelope, people, 10)
        if done is not None:
            self.assertEqual(core.data_to_send(), b"")
            self.assertEqual(set(done.results), set(range(len(people))))
            return
        *lines, last = core.data_to_send().split(b"\r\n")
        self.assertEqual((last, lines[-1]), (b"", b"DATA"))
        self.assertIsNone(re.search(rb"[\0\r\n]", b"".join(lines)))
        core.receive(b"250 ok\r\n" * (len(lines) - 1))
        self.assertEqual(core.receive(b"354 go on\r\n"), [ContentWanted()])
        self.sent(lines[0], reverse_path, envid, "MAIL ")
        core.content_sent()
        (event,) = core.receive(b"250 ok\r\n")
        taken = [rid for rid, result in event.results.items() if not isinstance(result, Exception)]  # type: ignore[union-attr]
        self.assertEqual(len(taken), len(lines) - 2)
        for rid, line in zip(sorted(taken), lines[1:-1], strict=True):
            self.sent(line, addresses[rid], orcpt, "RCPT ")

    def sent(self, line: bytes, address: str, name: str, verb: str) -> None:
        """A command means what the envelope says; one that the grammar doesn't take has no character that could end its path early."""
        text = line.decode()
        self.assertTrue(text.startswith(verb))
        argument = text.removeprefix(verb)
        try:
            if verb == "MAIL ":
                mail = parse_mail(argument)
                found = (mail.reverse_path, mail.envid)
            else:
                rcpt = parse_rcpt(argument, True)
                found = (rcpt.address, rcpt.orcpt)
        except CommandError:
            path, _, rest = argument.partition(":<")[2].partition(">")
            self.assertIsNone(re.search(r"[\x00-\x20\x7f<>]", path))
            self.assertTrue(not rest or rest.startswith(" "), line)
            return
        self.assertEqual(found[1], name)
        if address.isascii():
            self.assertEqual(found[0], address)
