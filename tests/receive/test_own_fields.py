"""What only the gateway and its operators may say of a message can't be said by whoever hands it in."""

from __future__ import annotations

import attrs
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import Envelope, Recipient
from seg.maildrop.drop_envelope import DropEnvelope, NoteError, decode
from tests.receive.front_door import DATA, FrontDoorCase

# Said by a client (SMTP or header), or seen of it.
THEIRS = {
    "reverse_path",
    "recipients",
    "size",
    "body",
    "smtputf8",
    "client",
    "helo",
    "ret",
    "envid",
    "requiretls",
    "tls_optional",
}
THEIR_RECIPIENTS = {"address", "notify", "orcpt"}
COUNTED = {"mid", "arrived", "icid", "rid"}
WORDS = ("double-bounce", "double_bounce", "true", "held", "damage", "via=mx.evil.test", "patient", "1", "\\u0000")
VALUES = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="+="), max_size=20),
)
HEADERS = st.dictionaries(
    st.sampled_from(("Double-Bounce", "Held", "Via", "Bounce-Profile", "Submitter", "X-Envid", "TLS-Required")),
    VALUES,
    max_size=3,
)


class OwnFieldTests(FrontDoorCase):
    """Fields of the envelope."""

    @given(
        envid=VALUES, name=VALUES, helo=VALUES, header=HEADERS, sender=st.sampled_from((b"", b"double-bounce@one.test"))
    )
    @example(envid="double-bounce", name="x", helo="double-bounce", header={}, sender=b"")
    def test_smtp(self, envid: str, name: str, helo: str, header: dict[str, str], sender: bytes) -> None:
        """Whatever words a client uses: all else has the value that it has by itself."""
        self.queue.messages.clear()
        client = self.connect()
        client.say(b"EHLO %s\r\n" % helo.encode())
        client.say(b"MAIL FROM:<%s>%s\r\n" % (sender, b" ENVID=%s" % envid.encode() if envid else b""))
        client.say(b"RCPT TO:<b@two.test> NOTIFY=NEVER ORCPT=rfc822;%s\r\n" % (name or "x").encode())
        client.say(DATA + b"".join(f"{key}: {value}\r\n".encode() for key, value in header.items()) + b"\r\n.\r\n")
        client.vanish()
        for message in self.queue.messages.values():
            envelope = message.envelope
            self.assertEqual(envelope.tls_optional, header.get("TLS-Required", "").lower() == "no")
            usual = Envelope(0, "", (), 0.0)
            for field in {field.name for field in attrs.fields(Envelope)} - THEIRS - COUNTED:
                self.assertEqual(getattr(envelope, field), getattr(usual, field), field)
            (recipient,) = envelope.recipients
            for field in {field.name for field in attrs.fields(Recipient)} - THEIR_RECIPIENTS - COUNTED:
                self.assertEqual(getattr(recipient, field), getattr(Recipient(0, ""), field), field)


class NoteTests(SynchronousTestCase):
    """The maildrop."""

    def test_maildrop(self) -> None:
        """A note has no field but those that SMTP has, too, and what else stands in its line isn't read."""
        self.assertEqual({field.name for field in attrs.fields(DropEnvelope)} - THEIRS - THEIR_RECIPIENTS, {"sender"})
        line = DropEnvelope("", ("b@two.test",), envid="double-bounce").encode()
        more = line.replace(
            b"}", b', "double_bounce": true, "held": true, "damage": "x", "bounce_profile": "y", "icid": 3}'
        )
        self.assertEqual(decode(more), decode(line))
        self.assertRaises(NoteError, decode, line.replace(b'"double-bounce"', b'"double bounce"'))
        named = DropEnvelope("", ("b@two.test", "c@two.test"), orcpt=("", "rfc822;c@one.test"))
        self.assertEqual(decode(named.encode()), named)
        for bad in (("rfc822;x",), ("", "rfc822;x y"), ("", "x"), ("", "rfc822;x> NOTIFY=NEVER"), ("", "", "")):
            self.assertRaises(NoteError, decode, attrs.evolve(named, orcpt=bad).encode())
        for bad_value in (b"3", b"[1, 2]", b"null", b'"ab"'):
            line = named.encode().replace(b'["", "rfc822;c@one.test"]', bad_value)
            self.assertRaises(NoteError, decode, line)
