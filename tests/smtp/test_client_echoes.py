"""A server, or a proxy, that says our password back brings it into no text."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.common.echoes import WITHHELD, EchoedSecrets
from seg.deliver.debug_peers import DialogueLog
from seg.events.delivery import DialogueLine
from seg.mail.envelope import Envelope, Recipient
from seg.smtp.client import ClientConnection
from seg.smtp.client_auth import ClientMechanism, LoginClient, PlainClient, ScramClient
from seg.smtp.reply_parser import MAX_REPLY
from tests.doubles import RecordingSink

PEOPLE = (Recipient(0, "a@one.test"), Recipient(1, "b@one.test"))
# None of our own words begins so.
PASSWORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs")), min_size=3, max_size=60
).map("Qx7".__add__)
ECHOES: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda password: password.encode(),
    "in a sentence": lambda password: b"user bob with password '%s' isn't known" % password.encode(),
    "in capitals": lambda password: password.encode().upper() if password.isascii() else password.encode(),
    "the message of PLAIN": lambda password: base64.b64encode(f"\0bob\0{password}".encode()),
    "the message decoded": lambda password: b"bob " + password.encode(),
    "in base64": lambda password: base64.b64encode(password.encode()),
    "within base64": lambda password: base64.b64encode(f"bob:{password}:xy".encode()),
    "in hexadecimal": lambda password: password.encode().hex().encode(),
    "percent-encoded": lambda password: quote(password, safe="").encode(),
    "the command": lambda password: b"AUTH PLAIN " + base64.b64encode(f"\0bob\0{password}".encode()),
}
STEPS = ("AUTH", "MAIL", "RCPT", "DATA", "content", "out of turn", "a broken line", "quit")


def reply(code: int, text: bytes, width: int, status: bytes) -> bytes:
    """A reply that says a text in lines of so many octets."""
    pieces = [text[start : start + width] for start in range(0, len(text), width)] or [b""]
    return b"".join(
        b"%d%s%s%s\r\n" % (code, b" " if number == len(pieces) else b"-", status, piece)
        for number, piece in enumerate(pieces, 1)
    )


class EchoTests(SynchronousTestCase):
    """`ClientConnection` and `DialogueLog`."""

    @given(
        password=PASSWORDS,
        echo=st.sampled_from(sorted(ECHOES)),
        step=st.sampled_from(STEPS),
        width=st.integers(8, 200),
        status=st.sampled_from((b"", b"5.7.8 ")),
        make=st.sampled_from((PlainClient, LoginClient, ScramClient)),
    )
    @example("hunter2", "the command", "AUTH", 9, b"5.7.8 ", PlainClient)
    @example("correct horse battery".replace(" ", "-"), "within base64", "content", 200, b"", LoginClient)
    def test_nowhere(
        self,
        password: str,
        echo: str,
        step: str,
        width: int,
        status: bytes,
        make: Callable[[str, str], ClientMechanism],
    ) -> None:
        """Not in what is told of a reply at any step, nor in a watched dialogue, however it is spelt and divided."""
        said = ECHOES[echo](password)
        core, sink = ClientConnection("us.test"), RecordingSink()
        tap = DialogueLog(1, "one.test", sink)
        told: list[object] = []

        def server(octets: bytes) -> None:
            tap.received(octets, core.awaiting)
            for event in core.receive(octets):
                results = getattr(event, "results", {})
                told.extend([event, getattr(event, "error", ""), *results.values()])
            flush()

        def flush() -> None:
            tap.echoes = core.echoes
            tap.sent(core.data_to_send(), core.awaiting)

        core.hello()
        server(b"220 hello\r\n")
        server(b"250 x\r\n")
        core.auth(make("bob", password))
        flush()
        bad = reply(535, said, width, status)
        if step == "AUTH":
            server(bad)
        else:
            if make is PlainClient:
                server(b"235 ok\r\n")
            else:
                server(bad.replace(b"535", b"454"))
            if step == "a broken line":
                server(b"?" + said[:100] + b"\r\n")
            elif step == "quit":
                core.quit()
                flush()
                server(bad)
            elif step == "out of turn":
                server(bad)
            else:
                core.begin(Envelope(1, "s@from.test", PEOPLE, 0.0), PEOPLE, 10)
                flush()
                server(bad if step == "MAIL" else b"250 ok\r\n")
                if step != "MAIL":
                    server(bad if step == "RCPT" else b"250 ok\r\n")
                    server(b"250 ok\r\n")
                    server(bad if step == "DATA" else b"354 ok\r\n")
                if step == "content":
                    core.content_sent()
                    server(bad.replace(b"535", b"250"))
        texts = [
            line
            for each in told
            for line in (str(each), repr(each), *getattr(each, "remote", getattr(each, "lines", ())))
        ]
        texts.append("".join(text for each in told for text in getattr(each, "remote", getattr(each, "lines", ()))))
        texts.append(
            "".join(
                event.text[4:].removeprefix("5.7.8 ")
                for event in sink.events
                if isinstance(event, DialogueLine) and event.who == "S"
            )
        )
        texts += [event.text for event in sink.events if isinstance(event, DialogueLine)]
        for text in texts:
            for form in {said.decode("ascii", "backslashreplace"), said.decode(), password}:
                self.assertNotIn(form, text)

    def test_others_are_shown(self) -> None:
        """What repeats no secret is shown as it came, and the code stays in any case."""
        for text, shown in (
            (b"5.7.8 Authentication credentials invalid", True),
            (b"5.7.8 AGJvYgBodW50ZXIy is wrong", False),
        ):
            core = ClientConnection("us.test")
            core.hello()
            core.receive(b"220 hello\r\n")
            core.receive(b"250 x\r\n")
            core.auth(PlainClient("bob", "hunter2"))
            (refused,) = core.receive(b"535 " + text + b"\r\n")
            error = refused.error  # type: ignore[union-attr]
            self.assertEqual((error.enhanced, error.remote), ("4.7.8", (text.decode() if shown else WITHHELD,)))
            self.assertIn("535", error.text)

    def test_time(self) -> None:
        """The longest password and the longest reply take little time, whatever the reply."""
        echoes = EchoedSecrets(b"x" * 1023 + b"y")
        best = []
        for text in ("x" * MAX_REPLY, "ab" * (MAX_REPLY // 2), " " * MAX_REPLY, "\\x" * (MAX_REPLY // 2)):
            times = []
            for _ in range(3):
                begin = time.thread_time()
                echoes.stand_in(text)
                times.append(time.thread_time() - begin)
            best.append(min(times))
        self.assertLess(max(best), 0.05)
