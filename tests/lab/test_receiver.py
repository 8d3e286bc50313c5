"""The receiving MTA, spoken to by the standard library's SMTP client over real sockets and real TLS."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from seg.lab.behaviour import Behaviour, Certificate, StartTLS, TLSVersions
from seg.lab.pki import Authority
from seg.lab.receiver import Receiver

HOST = "mx.a.example"
ADDRESS = "127.0.0.1"
CONTENT = b"Subject: x\r\n\r\n.\r\n..two\r\nlone \n feed\r\n.end\r\n"


class ReceiverTests(TestCase):
    """Each behaviour, one by one."""

    def setUp(self) -> None:
        """A good receiver."""
        self.authority = Authority()
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        self.root = self.authority.write_root(folder / "root.pem")
        self.receiver = Receiver(reactor, HOST, self.authority)  # type: ignore[arg-type]
        self.receiver.start(ADDRESS)
        self.addCleanup(self._stop)

    async def _stop(self) -> None:
        await self.receiver.stop()

    def context(self) -> ssl.SSLContext:
        """What a client that verifies uses."""
        return ssl.create_default_context(cafile=str(self.root))

    async def talk(self, conversation: Callable[[smtplib.SMTP], Any]) -> Any:
        """Have a conversation with the receiver in a thread."""

        def run() -> Any:
            with smtplib.SMTP(ADDRESS, self.receiver.port, local_hostname="client.example", timeout=5) as client:
                client._host = HOST  # type: ignore[attr-defined] # the name that is verified and sent as SNI
                client.ehlo()
                return conversation(client)

        return await deferToThread(run)

    async def send(self, *, tls: bool = True, recipients: tuple[str, ...] = ("bob@a.example",)) -> Any:
        """Send CONTENT."""

        def conversation(client: smtplib.SMTP) -> Any:
            if tls:
                client.starttls(context=self.context())
                client.ehlo()
            client.mail("alice@b.example")
            for recipient in recipients:
                client.rcpt(recipient)
            begun = client.docmd("DATA")
            return begun, self._stuffed(client) if begun[0] == 354 else begun

        return await self.talk(conversation)

    def _stuffed(self, client: smtplib.SMTP) -> Any:
        stuffed = b"".join(b"." + line if line[:1] == b"." else line for line in _lines())
        client.send(stuffed + b".\r\n")
        return client.getreply()

    async def test_message_is_taken_byte_for_byte(self) -> None:
        """Dots, lone line feeds and all arrive as they were sent, with envelope and TLS facts."""
        await self.send()
        (message,) = self.receiver.received
        self.assertEqual(message.content, CONTENT)
        self.assertEqual(message.reverse_path, "alice@b.example")
        self.assertEqual(message.recipients, ("bob@a.example",))
        self.assertEqual((message.tls, message.sni, message.helo), ("TLSv1.3", HOST, "client.example"))
        self.assertEqual(self.receiver.envelopes_in_clear, 0)
        self.assertEqual(self.receiver.sessions[0].faults, [])

    async def test_clear_text_is_noted(self) -> None:
        """A message in clear is taken, and the envelope in clear is noted."""
        await self.send(tls=False)
        self.assertEqual(self.receiver.received[0].tls, "")
        self.assertEqual(self.receiver.envelopes_in_clear, 1)

    async def test_certificates(self) -> None:
        """A verifying client refuses every certificate but the good one."""
        for kind in Certificate:
            self.receiver.behaviour = Behaviour(certificate=kind)
            if kind is Certificate.GOOD:
                await self.send()
            else:
                with self.assertRaises(ssl.SSLCertVerificationError, msg=str(kind)):
                    await self.send()
        self.assertEqual(len(self.receiver.received), 1)

    async def test_certificate_by_server_name(self) -> None:
        """A host with several certificates presents the one for the name that the client sends."""
        other = self.authority.issue(["mx.other.example"])
        receiver = Receiver(
            reactor,  # type: ignore[arg-type]
            HOST,
            self.authority,
            credentials={"mx.other.example": other},
        )
        receiver.start(ADDRESS)
        self.addCleanup(receiver.stop)

        def presented(name: str) -> Any:
            with smtplib.SMTP(ADDRESS, receiver.port, timeout=5) as client:
                client._host = name  # type: ignore[attr-defined]
                client.starttls(context=self.context())
                return client.sock.getpeercert()["subjectAltName"]  # type: ignore[union-attr]

        self.assertEqual(await deferToThread(presented, "mx.other.example"), (("DNS", "mx.other.example"),))
        self.assertEqual(await deferToThread(presented, HOST), (("DNS", HOST),))

    async def test_starttls_absent(self) -> None:
        """A server without TLS doesn't advertise it and refuses it."""
        self.receiver.behaviour = Behaviour(starttls=StartTLS.ABSENT)
        offered, reply = await self.talk(lambda c: (c.has_extn("starttls"), c.docmd("STARTTLS")[0]))
        self.assertEqual((offered, reply), (False, 502))

    async def test_starttls_refused(self) -> None:
        """STARTTLS may be advertised and then refused."""
        for how, code in ((StartTLS.REFUSED_454, 454), (StartTLS.REFUSED_502, 502)):
            self.receiver.behaviour = Behaviour(starttls=how)
            offered, reply = await self.talk(lambda c: (c.has_extn("starttls"), c.docmd("STARTTLS")[0]))
            self.assertEqual((offered, reply), (True, code))

    async def test_broken_handshakes(self) -> None:
        """Closing in the ClientHello and garbage end the handshake; nothing of the envelope was said."""
        for how in (StartTLS.CLOSES, StartTLS.GARBAGE):
            self.receiver.behaviour = Behaviour(starttls=how)
            with self.assertRaises(OSError, msg=str(how)):
                await self.send()
        self.assertTrue(all(session.handshake_failed for session in self.receiver.sessions))
        self.assertEqual(self.receiver.envelopes_in_clear, 0)

    async def test_handshake_that_hangs(self) -> None:
        """Silence behind the 220 lasts until the client gives up."""
        self.receiver.behaviour = Behaviour(starttls=StartTLS.HANGS)

        def impatient(client: smtplib.SMTP) -> None:
            client.sock.settimeout(0.2)  # type: ignore[union-attr]
            client.starttls(context=self.context())

        with self.assertRaises(OSError):
            await self.talk(impatient)

    async def test_old_version_only(self) -> None:
        """A server that knows TLS 1.1 only can't be used by a modern client."""
        self.receiver.behaviour = Behaviour(versions=TLSVersions.ONLY_1_1)
        with self.assertRaises(ssl.SSLError):
            await self.send()

    async def test_tls_1_2_only(self) -> None:
        """A server may know TLS 1.2 and nothing newer."""
        self.receiver.behaviour = Behaviour(versions=TLSVersions.ONLY_1_2)
        await self.send()
        self.assertEqual(self.receiver.received[0].tls, "TLSv1.2")

    async def test_injected_replies(self) -> None:
        """Plaintext comes behind the 220 in one segment; a client that believes it is noted."""
        self.receiver.behaviour = Behaviour(starttls=StartTLS.INJECTS)

        def believer() -> bytes:
            with socket.create_connection((ADDRESS, self.receiver.port), 5) as plain:
                plain.recv(1000)
                plain.sendall(b"EHLO client.example\r\n")
                plain.recv(1000)
                plain.sendall(b"STARTTLS\r\n")
                got = plain.recv(1000)
                with self.context().wrap_socket(plain, server_hostname=HOST) as inside:
                    inside.sendall(b"EHLO client.example\r\n")
                    inside.sendall(b"MAIL FROM:<alice@b.example>\r\n")
                    inside.recv(1000)
                return got

        got = await deferToThread(believer)
        self.assertIn(b"XINJECTED", got)
        self.assertIn("command before the reply to EHLO", self.receiver.sessions[0].faults[0])

    async def test_plaintext_behind_starttls_is_noted(self) -> None:
        """Commands pipelined behind STARTTLS are thrown away and noted as the client's fault."""

        def smuggle() -> None:
            with socket.create_connection((ADDRESS, self.receiver.port), 5) as plain:
                plain.recv(1000)
                plain.sendall(b"EHLO client.example\r\n")
                plain.recv(1000)
                plain.sendall(b"STARTTLS\r\nMAIL FROM:<x@b.example>\r\n")
                plain.recv(1000)

        await deferToThread(smuggle)
        self.assertIn("plaintext behind STARTTLS", self.receiver.sessions[0].faults[0])
        self.assertEqual(self.receiver.envelopes_in_clear, 0)

    async def test_greylisting(self) -> None:
        """The first try of each recipient gets 450, the next one passes."""
        self.receiver.behaviour = Behaviour(greylist=1)
        await self.send()
        self.assertEqual(self.receiver.received, [])
        await self.send()
        self.assertEqual(len(self.receiver.received), 1)

    async def test_reply_per_recipient(self) -> None:
        """Some recipients may be refused, others not."""
        self.receiver.behaviour = Behaviour(recipients={"gone": "550 5.1.1 no such user"})
        await self.send(recipients=("gone@a.example", "bob@a.example"))
        self.assertEqual(self.receiver.received[0].recipients, ("bob@a.example",))

    async def test_closing_in_data(self) -> None:
        """421 and the end of the connection, in the middle of the content."""
        self.receiver.behaviour = Behaviour(closes_in_data=10)
        _, reply = await self.send()
        self.assertEqual(reply[0], 421)
        self.assertEqual(self.receiver.received, [])

    async def test_closing_after_data(self) -> None:
        """The connection ends without a word behind the final dot."""
        self.receiver.behaviour = Behaviour(closes_after_data=True)
        with self.assertRaises(smtplib.SMTPServerDisconnected):
            await self.send()

    async def test_replies_as_told(self) -> None:
        """Banner, EHLO, MAIL, DATA and the final dot can each be refused."""
        self.receiver.behaviour = Behaviour(ehlo="502 5.5.1 what?")
        self.assertEqual((await self.talk(lambda c: c.ehlo()))[0], 502)
        self.receiver.behaviour = Behaviour(mail="451 4.3.0 later")
        self.assertEqual((await self.talk(lambda c: c.mail("a@b.example")))[0], 451)
        self.receiver.behaviour = Behaviour(final="552 5.3.4 too large")
        self.assertEqual((await self.send())[1][0], 552)
        self.receiver.behaviour = Behaviour(data="554 5.7.1 no")
        self.assertEqual((await self.send())[0][0], 554)
        self.receiver.behaviour = Behaviour(banner="554 5.3.2 no service")
        with self.assertRaises(smtplib.SMTPConnectError):
            await self.send()

    async def test_extensions(self) -> None:
        """PIPELINING can be left out."""
        self.assertTrue(await self.talk(lambda c: c.has_extn("pipelining")))
        self.receiver.behaviour = Behaviour().without_pipelining
        self.assertFalse(await self.talk(lambda c: c.has_extn("pipelining")))

    async def test_slow(self) -> None:
        """Every reply waits, in order."""
        self.receiver.behaviour = Behaviour(delay=0.02)
        await self.send(tls=False)
        self.assertEqual(len(self.receiver.received), 1)

    async def test_waiting(self) -> None:
        """Whoever waits for a message gets it as soon as it is there."""
        waiting = self.receiver.wait_for(1, timeout=5)
        await self.send()
        self.assertEqual(len(await waiting), 1)


def _lines() -> list[bytes]:
    return [line + b"\r\n" for line in CONTENT.removesuffix(b"\r\n").split(b"\r\n")]
