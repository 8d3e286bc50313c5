"""Next hops that the operator names: LMTP on a unix socket, a smart host with TLS from the first octet and AUTH, /dev/null."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.protocol import ServerFactory
from twisted.protocols.basic import LineReceiver

from seg.lab.gateway import GatewayProcess
from seg.lab.internet import free_port
from tests.e2e.base import MESSAGE, GatewayCase

PASSWORD = "correct horse"


class LMTPServer(LineReceiver):
    """Takes mail by LMTP (RFC 2033); recipients called "full" are refused behind the content."""

    delimiter = b"\r\n"

    def __init__(self, received: list[bytes], said: list[bytes]) -> None:
        self.received = received
        self.said = said
        self.recipients: list[bytes] = []
        self.content: list[bytes] | None = None

    def connectionMade(self) -> None:
        self.sendLine(b"220 store.example LMTP")

    def lineReceived(self, line: bytes) -> None:
        if self.content is not None:
            self.take(line)
            return
        self.said.append(line)
        verb = line[:4].upper()
        if verb == b"LHLO":
            self.sendLine(b"250-store.example\r\n250-PIPELINING\r\n250 8BITMIME")
        elif verb == b"RCPT":
            self.recipients.append(line)
            self.sendLine(b"550 5.1.1 nobody" if b"nobody" in line else b"250 2.1.5 ok")
        elif verb == b"DATA":
            self.content = []
            self.sendLine(b"354 go on")
        elif verb == b"QUIT":
            self.sendLine(b"221 bye")
            self.transport.loseConnection()
        elif verb in (b"MAIL", b"RSET"):
            self.sendLine(b"250 2.0.0 ok")
        else:
            self.sendLine(b"500 5.5.1 what?")

    def take(self, line: bytes) -> None:
        """The content, and a reply for each recipient that was accepted."""
        assert self.content is not None
        if line != b".":
            self.content.append(line)
            return
        self.received.append(b"\r\n".join(self.content))
        self.content = None
        accepted = [each for each in self.recipients if b"nobody" not in each]
        self.recipients = []
        for each in accepted:
            self.sendLine(b"452 4.2.2 mailbox full" if b"full" in each else b"250 2.0.0 stored")


class LMTPFactory(ServerFactory):
    """Makes `LMTPServer`s."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.said: list[bytes] = []

    def buildProtocol(self, addr: object) -> LMTPServer:
        return LMTPServer(self.received, self.said)


class RouteTests(GatewayCase):
    """SMTP routes of one gateway."""

    async def with_routes(self, text: str, **configuration: Any) -> GatewayProcess:
        """Start a gateway whose destinations.toml has this besides."""
        files = self.internet.gateway_configuration(**configuration)
        files = attrs.evolve(files, destinations_toml=files.destinations_toml + text)
        self.gateway = GatewayProcess(reactor, self.folder / "gateway", files)  # type: ignore[arg-type]
        await self.gateway.start()
        return self.gateway

    async def test_lmtp(self) -> None:
        """By LMTP each recipient has its own reply: one is stored, one waits, one is returned."""
        factory = LMTPFactory()
        path = Path(self.folder, "lmtp")
        port = reactor.listenUNIX(str(path), factory)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        gateway = await self.with_routes(f'[route."store.example"]\nhosts = ["unix:{path}"]\nprotocol = "lmtp"\n')
        await gateway.inject(
            "alice@sender.example", ["bob@store.example", "full@store.example", "nobody@store.example"], MESSAGE
        )
        await gateway.wait_for_log(r"Message done DCID \d+ MID 1 to RID \[0\]")
        await gateway.wait_for_log(r"Delayed: .* RID 1 - 4\.2\.2")
        await gateway.wait_for_log(r"Bounced: .* RID 2 - 5\.1\.1")
        await gateway.wait_for_log(rf"New SMTP DCID \d+ interface local address {path} port 0")
        self.assertEqual(factory.said[0], b"LHLO gateway.lab.example")
        self.assertTrue(factory.received[0].endswith(b"last line"))
        out = await self.seg_json("smtproutes", "print")
        self.assertEqual(out["routes"][0]["protocol"], "lmtp")

    async def test_smart_host(self) -> None:
        """Another gateway as smart host: TLS from its first octet, AUTH by SCRAM to a verified server only."""
        await self.internet.add_domain("receiver.example")
        self.internet.nameserver.zone("hop.example", secure=False)
        self.internet.nameserver.add("hop.example", "A", "127.0.0.1")
        pem = self.internet.authority.issue(["hop.example"]).write(Path(self.folder, "hop.pem"))
        files = self.internet.gateway_configuration(
            settings={
                "listener": {"tls": "implicit", "certificate": str(pem), "auth": "required"},
                "receive": {"relay_networks": []},
            },
            port=free_port(),
        )
        hop = GatewayProcess(reactor, self.folder / "hop", files)  # type: ignore[arg-type]
        self.addCleanup(hop.stop)
        await hop.start()
        self._add_user(hop)
        password = Path(self.folder, "password")
        password.write_text(PASSWORD + "\n")
        gateway = await self.with_routes(
            f'[route."receiver.example"]\nhosts = ["hop.example:{files.port}"]\ntls = "implicit"\nauth = "hop"\n'
            f'[auth_profile.hop]\nusername = "us"\npassword_file = "{password}"\n'
            '[destination."receiver.example"]\ntls = "required-verify-hosted"\nehlo_name = "outgoing.sender.example"\n',
            settings={"delivery": {"idle_timeout": 0}},
        )
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        (message,) = await self.internet.wait_for_messages("receiver.example")
        self.assertIn(b"from outgoing.sender.example", message.content)
        self.assertIn(b"with ESMTPSA id", message.content)
        await hop.wait_for_log(r"succeeded for user: us using AUTH mechanism: SCRAM-SHA-256")
        password.write_text("wrong horse\n")
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log(r"Delayed: .* 4\.7\.8 .*AUTH profile hop \(SCRAM-SHA-256\) is refused: 5\.7\.8")
        self.assertNotIn("horse", "\n".join(gateway.log_lines()))

    def _add_user(self, hop: GatewayProcess) -> None:
        from seg.auth.users import new_user, with_user
        from seg.auth.users_file import change

        change(hop.configuration.with_name("users"), lambda text: with_user(text, new_user("us", PASSWORD)))

    async def test_unverified(self) -> None:
        """No password goes to a server that nothing verified, and none in clear text; the mail waits, and the log says why."""
        await self.internet.add_domain("receiver.example")
        address, port = self.internet.domains["receiver.example"].receivers[0].address, self.internet.port
        gateway = await self.with_routes(
            f'[route."receiver.example"]\nhosts = ["{address}:{port}"]\nauth = "hop"\n'
            '[auth_profile.hop]\nusername = "us"\npassword = "secret"\n'
        )
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log(r"Delayed: .*AUTH profile hop: nothing verified the server's certificate")
        self.assertEqual(self.internet.messages("receiver.example"), [])

    async def test_discarded(self) -> None:
        """What goes to /dev/null is gone, and the log says so; a subdomain with USEDNS goes by its MX."""
        await self.internet.add_domain("sub.void.example")
        gateway = await self.with_routes(
            '[route.".void.example"]\nhosts = ["/dev/null"]\n[route."sub.void.example"]\nuse_dns = true\n'
        )
        await gateway.inject("alice@sender.example", ["bob@x.void.example", "bob@sub.void.example"], MESSAGE)
        await gateway.wait_for_log(r"MID 1 to RID \[0\] discarded: SMTP route /dev/null for x\.void\.example")
        await self.internet.wait_for_messages("sub.void.example")
        await gateway.wait_for_log(r"Message finished MID 1 done")
