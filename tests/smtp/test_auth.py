"""AUTH as the server's core sees it (RFC 4954)."""

from __future__ import annotations

import base64

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.smtp.reply import Reply
from seg.smtp.server import ServerConnection
from seg.smtp.server_auth import RESPONSE_LIMIT, without_secret
from seg.smtp.server_events import AuthBegun, AuthEnded, AuthResponse, CommandRefused, CommandUnknown, ServerEvent
from seg.smtp.server_options import ServerOptions
from seg.smtp.server_table import State

OPTIONS = ServerOptions("mx.test", 10000, 10, False, True, auth=True)
SECRET = base64.b64encode(b"\0alice\0secret")
INVALID = Reply.of(535, "5.7.8", "no")


class AuthTests(SynchronousTestCase):
    """A session with PLAIN and LOGIN."""

    def setUp(self) -> None:
        self.events: list[ServerEvent] = []
        self.begin()

    def begin(self, options: ServerOptions = OPTIONS, tls: bool = True) -> None:
        """A new session, greeted."""
        self.core = ServerConnection(options)
        self.core.greet()
        self.core.data_to_send()
        if tls:
            self.core.tls_from_the_start()
            self.core.mechanisms = ("PLAIN", "LOGIN")
        self.greeting = self.say(b"EHLO client.test\r\n")

    def say(self, data: bytes) -> bytes:
        """What comes back."""
        self.events += self.core.receive(data)
        return self.core.data_to_send()

    def test_offered_within_tls_only(self) -> None:
        """EHLO lists the mechanisms within TLS, and not again once the client has authenticated."""
        self.assertIn(b"AUTH PLAIN LOGIN\r\n", self.greeting)
        self.say(b"AUTH PLAIN " + SECRET + b"\r\n")
        self.core.authenticated("alice")
        self.assertEqual(self.core.data_to_send(), b"235 2.7.0 Authentication successful\r\n")
        self.assertNotIn(b"AUTH", self.say(b"EHLO client.test\r\n"))
        self.begin(tls=False)
        self.assertNotIn(b"AUTH", self.greeting)
        self.assertEqual(self.say(b"AUTH PLAIN\r\n")[:10], b"538 5.7.11")

    def test_initial_response(self) -> None:
        """An initial response comes with the command; ``=`` is an empty one."""
        for sent, initial in ((b" " + SECRET, b"\0alice\0secret"), (b" =", b""), (b"", None)):
            self.begin()
            self.assertEqual(self.say(b"auth plain" + sent + b"\r\n"), b"")
            self.assertEqual(self.events[-1], AuthBegun("PLAIN", initial))

    def test_challenges(self) -> None:
        """Challenges are sent in base64, and what comes then is a response and no command, whatever it looks like."""
        self.say(b"AUTH LOGIN\r\n")
        self.core.challenge(b"Username:")
        self.assertEqual(self.core.data_to_send(), b"334 VXNlcm5hbWU6\r\n")
        self.say(b"QUIT\r\n")
        self.assertEqual(self.events[-1], AuthResponse(base64.b64decode(b"QUIT")))
        self.core.refuse(INVALID)
        self.assertEqual(self.core.data_to_send(), b"535 5.7.8 no\r\n")
        self.assertEqual(self.say(b"NOOP\r\n")[:3], b"250")

    def test_pipelined(self) -> None:
        """What follows AUTH is read when it was answered, and as what it is then."""
        self.say(b"AUTH LOGIN\r\nYQ==\r\nYg==\r\nNOOP\r\n")
        self.assertEqual(self.events[-1], AuthBegun("LOGIN", None))
        self.core.challenge(b"")
        self.say(b"")
        self.assertEqual(self.events[-1], AuthResponse(b"a"))
        self.core.challenge(b"")
        self.say(b"")
        self.core.authenticated("a")
        self.assertTrue(self.say(b"").endswith(b"\r\n250 2.0.0 Ok\r\n"))

    def test_ends(self) -> None:
        """``*`` gives up; malformed and overlong responses end the exchange."""
        table = (
            (b"*", b"501 5.0.0"),
            (b"not base64", b"501 5.5.2"),
            (b"YQ=", b"501 5.5.2"),
            (b"\xff", b"501 5.5.2"),
            (b"YQ\0=", b"501 5.5.2"),
            (b"a" * RESPONSE_LIMIT, b"500 5.5.6"),
        )
        for response, reply in table:
            self.begin()
            self.say(b"AUTH LOGIN\r\n")
            self.core.challenge(b"")
            self.core.data_to_send()
            self.assertEqual(self.say(response + b"\r\n")[:9], reply, response[:20])
            self.assertIsInstance(self.events[-1], AuthEnded)
            self.assertIs(self.core.state, State.READY)
            self.assertEqual(self.say(b"NOOP\r\n")[:3], b"250")
        self.begin()
        self.say(b"AUTH LOGIN\r\n")
        self.core.challenge(b"")
        long = base64.b64encode(b"x" * 9000)
        self.say(long + b"\r\n")
        self.assertEqual(self.events[-1], AuthResponse(b"x" * 9000))

    def test_refused(self) -> None:
        """Wrong commands, each with its code."""
        table = (
            (b"AUTH", b"501 5.5.4"),
            (b"AUTH PLAIN a b", b"501 5.5.4"),
            (b"AUTH CRAM-MD5", b"504 5.5.4"),
            (b"AUTH PLAIN !", b"501 5.5.2"),
        )
        for line, reply in table:
            self.assertEqual(self.say(line + b"\r\n")[:9], reply)
        self.say(b"MAIL FROM:<a@b.test>\r\n")
        self.core.accept()
        self.core.data_to_send()
        self.assertEqual(self.say(b"AUTH PLAIN\r\n")[:9], b"503 5.5.1")
        self.begin()
        self.say(b"AUTH PLAIN " + SECRET + b"\r\n")
        self.core.authenticated("alice")
        self.core.data_to_send()
        self.assertEqual(self.say(b"AUTH PLAIN\r\n")[:9], b"503 5.5.1")

    def test_required(self) -> None:
        """Where it is required no message begins without it; everything else goes on."""
        self.begin(attrs.evolve(OPTIONS, auth_required=True))
        self.assertEqual(self.say(b"MAIL FROM:<a@b.test>\r\n")[:9], b"530 5.7.0")
        self.assertEqual(self.say(b"NOOP\r\n")[:3], b"250")
        self.say(b"AUTH PLAIN =\r\n")
        self.core.authenticated("alice")
        self.core.data_to_send()
        self.assertEqual(self.say(b"MAIL FROM:<a@b.test> AUTH=<>\r\n"), b"")

    def test_parameter_of_mail(self) -> None:
        """MAIL may have AUTH= where AUTH is offered, as xtext or ``<>``, and nowhere else (RFC 4954 §5)."""
        for value, code in ((b"<>", b""), (b"a+40b.test", b""), (b"a+4", b"501 5.5.4"), (b"", b"501 5.5.4")):
            self.begin()
            self.assertEqual(self.say(b"MAIL FROM:<a@b.test> AUTH=" + value + b"\r\n")[:9], code, value)
        self.begin(tls=False)
        self.assertEqual(self.say(b"MAIL FROM:<a@b.test> AUTH=c@b.test\r\n")[:9], b"555 5.5.4")

    def test_no_secret_is_told(self) -> None:
        """No event that is logged has what may be a password: not in a wrong command, nor in what follows an AUTH refused."""
        self.begin(attrs.evolve(OPTIONS, auth=False))
        self.say(b"AUTH PLAIN " + SECRET + b"\r\nAUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\nNOOP\r\nhello\r\n")
        told = [e.line for e in self.events if isinstance(e, CommandRefused | CommandUnknown)]
        self.assertEqual(told, ["AUTH PLAIN ***", "AUTH LOGIN", "***", "***", "hello"])
        self.assertEqual(without_secret("aUtH x y z"), "AUTH ***")
        self.assertNotIn("secret", repr([AuthBegun("PLAIN", b"secret"), AuthResponse(b"secret")]))

    def test_forgotten_by_starttls(self) -> None:
        """STARTTLS forgets who the client is, as all else."""
        core = ServerConnection(OPTIONS)
        core.greet()
        list(core.receive(b"EHLO x\r\nSTARTTLS\r\n"))
        core.identity = "alice"
        core.tls_started()
        self.assertEqual(core.identity, "")

    @given(st.lists(st.binary(max_size=40)))
    def test_anything(self, lines: list[bytes]) -> None:
        """Whatever comes in an exchange, each line gets one answer, and the session goes on or ends in order."""
        self.begin()
        for line in lines:
            data = line.replace(b"\r", b"").replace(b"\n", b"")
            self.say(b"AUTH LOGIN\r\n")
            if not self.core.awaiting:
                return
            self.core.challenge(b"")
            self.core.data_to_send()
            self.say(data + b"\r\n")
            if self.core.awaiting:
                self.core.refuse(INVALID)
                self.assertEqual(self.core.data_to_send().count(b"\r\n"), 1)
