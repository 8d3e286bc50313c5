"""The attributes of XCLIENT, and VRFY by the operator's choice."""

from __future__ import annotations

from ipaddress import ip_address

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.smtp.commands import CommandError
from seg.smtp.reply import Reply
from seg.smtp.server import ServerConnection
from seg.smtp.server_events import VrfyCommand
from seg.smtp.server_options import ServerOptions, VrfyPolicy
from seg.smtp.xclient import XClient, parse_xclient

OPTIONS = ServerOptions("mx.test", 10000, 10, False, False)


class GrammarTests(SynchronousTestCase):
    """`parse_xclient`."""

    def test_good(self) -> None:
        """Each attribute, in any case, in xtext, or unknown to the proxy."""
        table = {
            "NAME=mx.example ADDR=192.0.2.1": XClient("mx.example", ip_address("192.0.2.1")),
            "addr=IPV6:2001:db8::1": XClient(address=ip_address("2001:db8::1")),
            "NAME=[UNAVAILABLE] HELO=[tempunavail]": XClient(name="", helo=""),
            "LOGIN=a+40b.example": XClient(login="a@b.example"),
            "PORT=25 PROTO=ESMTP DESTADDR=192.0.2.2 DESTPORT=25 HELO=x": XClient(helo="x"),
        }
        for text, client in table.items():
            self.assertEqual(parse_xclient(text), client)

    def test_malformed(self) -> None:
        """What isn't an attribute, or can't be its value."""
        for text in (
            "",
            "NAME",
            "COLOUR=red",
            "ADDR=300.0.0.1",
            "ADDR=2001:db8::1",
            "ADDR=IPV6:x",
            "NAME=a+0Db",
            "NAME=a+4",
            "PORT=99999",
            "PORT=x",
            "PROTO=HTTP",
            "DESTADDR=x",
            "NAME=" + "a" * 300,
        ):
            error = self.assertRaises(CommandError, parse_xclient, text)
            self.assertEqual((error.reply.code, error.reply.enhanced), (501, "5.5.4"), text)

    @given(st.text(max_size=60))
    def test_anything(self, text: str) -> None:
        """Nothing raises but a refusal, whose text is one line of ASCII."""
        try:
            parse_xclient(text)
        except CommandError as error:
            self.assertTrue(error.reply.text.isascii() and error.reply.text.isprintable())


class VerifyTests(SynchronousTestCase):
    """VRFY (RFC 5321 §3.5)."""

    def say(self, choice: VrfyPolicy, line: bytes) -> tuple[bytes, list[object]]:
        """What comes back, and the events."""
        self.core = ServerConnection(attrs.evolve(OPTIONS, vrfy=choice))
        self.core.greet()
        list(self.core.receive(b"EHLO x\r\n"))
        self.core.data_to_send()
        events = list(self.core.receive(line))
        return self.core.data_to_send(), list(events)

    def test_choices(self) -> None:
        """Noncommittal, disabled, or asked of the adapter; without an argument and with a malformed one it is 501."""
        self.assertEqual(self.say(VrfyPolicy.NONCOMMITTAL, b"VRFY bob\r\n")[0][:9], b"252 2.5.0")
        self.assertEqual(self.say(VrfyPolicy.REFUSE, b"VRFY bob\r\n")[0][:9], b"502 5.5.1")
        for line in (b"VRFY bob@two.test\r\n", b"VRFY <bob@two.test>\r\n"):
            said, events = self.say(VrfyPolicy.ANSWER, line)
            self.assertEqual((said, events), (b"", [VrfyCommand("bob@two.test")]))
        self.core.accept()
        self.assertEqual(self.core.data_to_send(), b"250 2.1.5 <bob@two.test>\r\n")
        self.say(VrfyPolicy.ANSWER, b"VRFY bob@two.test\r\n")
        self.core.refuse(Reply.of(550, "5.1.1", "no"))
        self.assertEqual(self.core.data_to_send(), b"550 5.1.1 no\r\n")
        self.assertEqual(self.say(VrfyPolicy.ANSWER, b"VRFY bob\r\n")[0][:9], b"501 5.1.3")
        for choice in VrfyPolicy:
            self.assertEqual(self.say(choice, b"VRFY\r\n")[0][:9], b"501 5.5.4")
