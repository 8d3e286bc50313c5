"""Listeners with TLS: required, and from the first octet."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable

from twisted.internet.threads import deferToThread

from seg.lab.internet import free_port
from tests.certificates import Authority
from tests.e2e.base import MESSAGE, GatewayCase


class ListenerTests(GatewayCase):
    """Three listeners of one gateway."""

    async def test_modes(self) -> None:
        """Each takes mail in its own way and in no other; the certificate is that of the name asked for."""
        import datetime

        now = datetime.datetime.now(datetime.UTC)
        root = Authority.root(now=now)
        self.folder.mkdir(exist_ok=True)
        certificate, key = root.leaf("mx.lab.example", now=now).write(self.folder)
        other = root.leaf("mail.lab.example", now=now)
        more = self.folder / "more.pem"
        more.write_bytes(other.pem() + other.key_pem())
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway()
        await gateway.stop()
        ports = {mode: free_port() for mode in ("required", "implicit")}
        text = gateway.configuration.read_text()
        for mode, port in ports.items():
            text += f'''
[[listener]]
name = "{mode}"
port = {port}
tls = "{mode}"
certificate = "{certificate}"
key = "{key}"
more_certificates = ["{more}"]
'''
        gateway.configuration.write_text(text)
        await gateway.start()
        trust = ssl.create_default_context(cadata=root.pem().decode())

        def required() -> list[object]:
            with smtplib.SMTP("127.0.0.1", ports["required"], local_hostname="c.example", timeout=10) as client:
                client.ehlo()
                refused = client.docmd("MAIL FROM:<a@b.example>")[0]
                client._host = "mx.lab.example"  # type: ignore[attr-defined] # the name that smtplib asks for
                client.starttls(context=trust)
                client.sendmail("alice@sender.example", ["bob@receiver.example"], MESSAGE)
                return [refused]

        def implicit(name: str) -> Callable[[], str]:
            def talk() -> str:
                with smtplib.SMTP_SSL(
                    "127.0.0.1", ports["implicit"], local_hostname="c.example", timeout=10, context=named(name)
                ) as client:
                    client.sendmail("alice@sender.example", ["bob@receiver.example"], MESSAGE)
                    return str(client.sock.getpeercert()["subjectAltName"][0][1])  # type: ignore[union-attr]

            return talk

        def named(name: str) -> ssl.SSLContext:
            context = ssl.create_default_context(cadata=root.pem().decode())
            wrap = context.wrap_socket
            context.wrap_socket = lambda sock, server_hostname=None: wrap(sock, server_hostname=name)  # type: ignore[method-assign,assignment]
            return context

        self.assertEqual(await deferToThread(required), [530])
        for name in ("mx.lab.example", "mail.lab.example"):
            self.assertEqual(await deferToThread(implicit(name)), name)
        messages = await self.internet.wait_for_messages("receiver.example", 3)
        self.assertTrue(all(b"with ESMTPS id" in message.content for message in messages))
