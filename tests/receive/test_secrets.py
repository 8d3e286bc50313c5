"""Whatever a client makes of AUTH, no password stands in an event, a log line or a reply."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from seg.auth.backoff import Backoff
from seg.auth.sasl_server import SASLServer
from seg.config.log import LogLevel
from seg.config.receive import ListenerAuth, ListenerSettings, Receive
from seg.events.receive import AuthFailed, BadCommand, UnknownCommand
from seg.maillog.formatter import EventFormatter, level_of
from tests.receive.front_door import EHLO, Client, FrontDoorCase
from tests.receive.made_listener import made_listener
from tests.receive.test_tls import ServerTLS

SECRET = "Tr0ub4dor&3-correct-horse"
TELLING = EventFormatter(level_of(LogLevel.DEBUG), True, (), True, True)


@implementer(ICredentialsChecker)
class Refusing:
    """Knows nobody, and says so in words that it shouldn't use."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.error: Callable[[Any], Exception] = lambda credentials: UnauthorizedLogin(repr(credentials.password))

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        return fail(self.error(credentials))


def spellings(secret: str) -> list[bytes]:
    """Lines with a secret in them, none of them what a client should send."""
    plain = base64.b64encode(f"\0alice\0{secret}".encode())
    bare = base64.b64encode(secret.encode())
    lines = []
    for word in (plain, bare, secret.encode(), plain.rstrip(b"="), plain[::-1]):
        lines += [
            form % {b"": word}
            for form in (
                b"AUTH  PLAIN %()b",
                b"auth plain %()b",
                b"AUTH PLAIN=%()b",
                b"AUTH\tPLAIN\t%()b",
                b"AUTH PLAIN\t%()b",
                b"AUTH=PLAIN %()b",
                b"AUTH:PLAIN %()b",
                b"AUTH %()b",
                b"AUTH PLAIN %()b %()b",
                b"AUTH LOGIN %()b",
                b"AUTH XYZZY %()b",
                b" AUTH PLAIN %()b",
                b"\tAUTH PLAIN %()b",
                b"AUTHPLAIN %()b",
                b"AUTHENTICATE PLAIN %()b",
                b"XAUTH PLAIN %()b",
                b"AUTH PLAIN \xff%()b",
                b"LOGIN alice %()b",
                b"USER alice %()b",
                b"PASS %()b",
                b"a1 LOGIN alice %()b",
                b"%()b",
                b"*%()b",
                b"=%()b",
                b"AUTH LOGIN\r\n%()b",
                b"AUTH LOGIN\r\n%()b\r\n%()b",
                b"AUTH LOGIN\r\nYWxpY2U=\r\n%()b\r\n%()b",
                b"AUTH PLAIN\r\n%()b\r\n%()b",
                b"AUTH PLAIN\r\n*\r\n%()b",
                b"AUTH CRAM-MD5\r\n%()b",
                b"AUTH\r\n%()b",
            )
        ]
    return lines


def shapes(secret: str) -> tuple[str, ...]:
    """What must not be seen: the secret, and the middle of it in base64 wherever it begins."""
    raw = secret.encode()
    coded = [base64.b64encode(b"x" * shift + raw).decode()[4:-4] for shift in range(3)]
    return secret, *(text for text in (*coded, *(text[::-1] for text in coded)) if len(text) >= 4)


class SecretTests(FrontDoorCase):
    """Listeners with and without AUTH, in clear text and within TLS."""

    def client(self, auth: ListenerAuth, within_tls: bool) -> Client:
        self.checker = Refusing()
        self.factory = made_listener(
            self.queue,
            self.clock,
            Receive(max_unknown_commands=100_000),
            ListenerSettings(auth=auth),
            ServerTLS(),
            ids=self.counters,
            sink=self.sink,
            sasl=SASLServer(self.checker, Backoff(self.clock.seconds), self.clock),
            turns=self.turns,
        )
        client = self.connect()
        if within_tls:
            client.protocol._core.tls_from_the_start()  # type: ignore[attr-defined]
            client.protocol.session.auth and client.protocol.session.auth.secured({})  # type: ignore[attr-defined]
        client.say(EHLO)
        return client

    def seen(self, client: Client) -> str:
        """All that anybody may read of it."""
        texts = []
        for event in self.sink.events:
            told = TELLING.tell(event, 0.0)
            texts += [repr(event), told.record, *(text for _, text in told.lines)]
        return "\n".join(texts)

    def holds(self, secret: str, lines: list[bytes], auth: ListenerAuth, within_tls: bool) -> None:
        client = self.client(auth, within_tls)
        for line in lines:
            self.sink.events.clear()
            said = client.say(line + b"\r\n").decode()
            self.clock.advance(60)
            client.settle()
            for shape in shapes(secret):
                self.assertNotIn(shape, self.seen(client), line)
                self.assertNotIn(shape, said, line)
            if client.closed:
                client = self.client(auth, within_tls)

    def test_every_spelling(self) -> None:
        """Each spelling, in each kind of session; one after the other, and each alone."""
        for auth in (ListenerAuth.OFF, ListenerAuth.OFFERED):
            for within_tls in (False, True):
                lines = spellings(SECRET)
                self.holds(SECRET, lines, auth, within_tls)
                for line in lines:
                    self.holds(SECRET, [line], auth, within_tls)

    @settings(max_examples=30, deadline=None)
    @given(
        st.text(
            st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("C", "Z")), min_size=8, max_size=40
        ),
        st.randoms(use_true_random=False),
        st.sampled_from((ListenerAuth.OFF, ListenerAuth.OFFERED)),
        st.booleans(),
    )
    def test_any_secret(self, secret: str, order: Any, auth: ListenerAuth, within_tls: bool) -> None:
        """Any secret, spelt in a handful of ways in any order."""
        self.setUp()
        self.holds(secret, order.sample(spellings(secret), 8), auth, within_tls)

    def test_a_checker_that_talks(self) -> None:
        """What a third party's checker raises isn't quoted: its kind and place are told."""
        client = self.client(ListenerAuth.OFFERED, True)
        self.checker.error = lambda credentials: KeyError(credentials.password)
        client.say(b"AUTH PLAIN " + base64.b64encode(f"\0alice\0{SECRET}".encode()) + b"\r\n")
        (failed,) = self.sink.of(AuthFailed)
        self.assertEqual(failed.user, "alice")
        self.assertRegex(failed.reason, r"^the checker failed: KeyError at \w+\.py:\d+$")

    def test_what_stays(self) -> None:
        """What can't be a secret is still there to read: mechanism, verbs that don't exist, other commands in full."""
        client = self.client(ListenerAuth.OFF, False)
        client.say(b"AUTH PLAIN abc\r\nNOOP\r\nXYZZY\r\nEXPN list\r\nMAIL FROM:<alice\r\n")
        told = [attrs.astuple(event)[1] for event in self.sink.events if isinstance(event, BadCommand | UnknownCommand)]
        self.assertEqual(told, ["AUTH PLAIN ***", "XYZZY", "EXPN ***", "MAIL FROM:<alice"])
