"""What is tried with every real server that the gateway sends to.

Every domain has an MX record of its own in the lab's internet, so that the policy chain decides as it does elsewhere; the server behind
all of them is one real program. What it stored is compared with what was sent, octet for octet, behind the trace fields on top.
"""

from __future__ import annotations

import datetime
import re
import shutil
import smtplib
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import attrs
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from seg.lab.gateway import GatewayProcess
from seg.lab.internet import free_port
from seg.lab.pki import tlsa
from seg.lab.world import Policy
from tests.certificates import Authority
from tests.e2e.base import GatewayCase
from tests.interop.messages import HEADER, MESSAGES, UTF8, hand_in
from tests.interop.servers.base import LIMITED_SIZE, PASSWORD, USER, RealServer, without_traces

SENDER = "alice@sender.example"
HOST = "mx.peer.example"
OLD = "old.peer.example"  # the limited instance: TLS 1.2, an RSA certificate, small messages
MANY = tuple(f"r{number}" for number in range(12))
BOXES = (*MESSAGES, *MANY, "bob", "carol", "clear", "verified", "dane", "sts", "implicit", "old", UTF8)


class OutCase(GatewayCase):
    """The tests; a class for one server says which, and what it can't do."""

    timeout = 120
    server: ClassVar[type[RealServer]]
    chunking: ClassVar[bool] = False
    dsn: ClassVar[bool] = False
    smtputf8: ClassVar[bool] = True
    auth: ClassVar[bool] = True
    closes_when_idle: ClassVar[bool] = True
    tls: ClassVar[bool] = True  # whether its TLS works
    versions: ClassVar[bool] = True  # whether it can be held to TLS 1.2
    refused: ClassVar[frozenset[str]] = frozenset()  # names of messages that the server doesn't take

    def as_sent(self, name: str, found: bytes) -> bytes:
        """What the server stored, without what it made of the message itself."""
        return found

    async def setUp(self) -> None:
        self.server.required()
        await super().setUp()
        self.place = Path(tempfile.mkdtemp(prefix="seg-peer-"))
        self.place.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.place, True)
        self.rsa = Authority.root(
            now=datetime.datetime.now(datetime.UTC), key=rsa.generate_private_key(65537, 2048), days=(-10, 30)
        )
        (self.place / "rsa-root.pem").write_bytes(self.rsa.pem() or b"")

    async def start_server(self, host: str = HOST, *, limited: bool = False) -> RealServer:
        """Start one, and give its host an address."""
        pem = self.place / f"{host}.pem"
        if limited:
            now = datetime.datetime.now(datetime.UTC)
            leaf = self.rsa.leaf(host, now=now, key=rsa.generate_private_key(65537, 2048))
            pem.write_bytes(leaf.key_pem() + leaf.pem())
            self.tlsa = tlsa(leaf.certificate, 3, 1, 1)
        else:
            credential = self.internet.authority.issue([host])
            pem.write_bytes(credential.pem())
            self.tlsa = credential.tlsa()
        pem.chmod(0o644)
        address = self.internet.new_address()
        server = self.server(
            self.place / host, address, self.internet.port, free_port(), pem, boxes=BOXES, limited=limited
        )
        self.addCleanup(server.stop)
        await server.start()
        self.internet.nameserver.zone(host, secure=True)
        self.internet.nameserver.add(host, "A", address)
        return server

    def domain(self, name: str, host: str = HOST, *, secure: bool = False) -> None:
        """A domain whose mail goes to a host."""
        self.internet.nameserver.zone(name, secure=secure)
        self.internet.nameserver.add(name, "MX", f"10 {host}.")

    async def start_with(self, text: str = "", **configuration: Any) -> GatewayProcess:
        """Start the gateway, with this in destinations.toml besides; it trusts the authority of RSA certificates too."""
        if not self.tls:
            configuration["default"] = {"tls": "no"}
        settings = configuration.setdefault("settings", {})
        settings.setdefault("tls", {})["extra_ca_file"] = str(self.place / "rsa-root.pem")
        settings.setdefault("receive", {})["max_message_size"] = 50_000_000
        files = self.internet.gateway_configuration(**configuration)
        files = attrs.evolve(files, destinations_toml=files.destinations_toml + text)
        self.gateway = GatewayProcess(self.internet.reactor, self.folder / "gateway", files)  # type: ignore[arg-type]
        await self.gateway.start()
        return self.gateway

    # --- the tests ---

    async def test_content(self) -> None:
        """Octets of any kind, dots, long lines, nothing at all, 20 MB, UTF-8: stored as they were sent, with what the server offers."""
        server = await self.start_server()
        self.domain("content.example")
        gateway = await self.start_with(settings={"delivery": {"idle_timeout": 0}})
        await self.seg("debug", "content.example", "--sessions", "50")
        for name, content in MESSAGES.items():
            options = ["BODY=8BITMIME", "RET=HDRS", "ENVID=e1"] if name == "dsn" else ["BODY=8BITMIME"]
            orcpt = "NOTIFY=FAILURE,DELAY ORCPT=rfc822;first@sender.example" if name == "dsn" else ""
            await hand_in(gateway.port, SENDER, f"{name}@content.example", content, options, orcpt)
        if self.smtputf8:
            await hand_in(
                gateway.port, "jörg@sender.example", f"{UTF8}@content.example", MESSAGES["utf8"], ["SMTPUTF8"]
            )
        for name in self.refused:
            await gateway.wait_for_log(rf"Bounced: .*{name}@content\.example")
        for name, content in MESSAGES.items():
            if name in self.refused:
                continue
            (stored,) = await server.wait_for(name)
            trace, found = without_traces(stored)
            self.assertIn(b"by gateway.lab.example", trace, name)
            found = self.as_sent(name, found)
            self.assertEqual((name, len(found)), (name, len(content)))
            self.assertTrue(found == content, (name, found[:300], content[:300]))
        if self.smtputf8:
            await server.wait_for(UTF8)
        out, _, _ = await self.seg("grep", "debug content.example: ")
        said = {line.partition(" C: ")[2] for line in out.splitlines() if " C: " in line}
        self.assertEqual(
            (any(line.startswith("BDAT ") for line in said), "DATA" in said), (self.chunking, not self.chunking)
        )
        rcpt = "RCPT TO:<dsn@content.example>"
        notified = f"{rcpt} NOTIFY=DELAY,FAILURE ORCPT=rfc822;first@sender.example"
        self.assertIn(notified if self.dsn else rcpt, said)
        self.assertEqual(gateway.events("recipient_delayed"), [])

    async def test_no_final_line_end(self) -> None:
        """Content that ends within a line, which BDAT allows (RFC 3030 §2): all of it is there, with at most a line end behind it."""
        server = await self.start_server()
        self.domain("unfinished.example")
        gateway = await self.start_with()
        await self.unfinished(server, gateway.port, "unfinished.example")

    async def unfinished(self, server: RealServer, port: int, domain: str) -> None:
        """Hand it in, and look at what is stored."""
        for name, content in (("bob", HEADER + b"\r\nthe last line has no end"), ("carol", HEADER + b"\r\n.")):
            await deferToThread(self.chunk, port, f"{name}@{domain}", content)
            (stored,) = await server.wait_for(name)
            self.assertEqual(without_traces(stored)[1].removesuffix(b"\r\n"), content)

    def chunk(self, port: int, recipient: str, content: bytes) -> None:
        """Hand in by one BDAT."""
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=30) as client:
            client.ehlo()
            client.mail(SENDER)
            client.rcpt(recipient)
            client.send(b"BDAT %d LAST\r\n" % len(content) + content)
            self.assertEqual(client.getreply()[0], 250)

    async def pause(self) -> None:
        """A moment."""
        await deferLater(self.internet.reactor, 0.05)  # type: ignore[arg-type]

    async def test_policies(self) -> None:
        """Clear text, a verified certificate, DANE, MTA-STS, TLS from the first octet with AUTH: taken; a wrong TLSA record: not."""
        server = await self.start_server()
        self.internet.set_tlsa(HOST, self.tlsa)
        for name in ("clear", "verified"):
            self.domain(f"{name}.example")
        self.domain("dane.example", secure=True)
        self.domain("sts.example")
        self.internet.set_policy("sts.example", Policy(), (HOST,))
        self.domain("wrong.example", "wrong.peer.example", secure=True)
        self.internet.nameserver.zone("wrong.peer.example", secure=True)
        self.internet.nameserver.add("wrong.peer.example", "A", server.address)
        self.internet.set_tlsa("wrong.peer.example", f"3 1 1 {'00' * 32}")
        limited = await self.start_server(OLD, limited=True) if self.tls else None
        self.domain("old.example", OLD)
        (self.folder / "password").write_text(PASSWORD + "\n")
        gateway = await self.start_with(
            f'[destination."clear.example"]\ntls = "no"\n'
            f'[destination."verified.example"]\ntls = "required-verify-hosted"\ndane = "none"\n'
            f'[destination."dane.example"]\ndane = "mandatory"\n'
            f'[destination."old.example"]\ntls = "required-verify-hosted"\ndane = "none"\n'
            f'[destination."sts.example"]\ndane = "none"\n'
            f'[destination."implicit.example"]\ntls = "required-verify-hosted"\n'
            f'[route."implicit.example"]\nhosts = ["{HOST}:{server.implicit}"]\ntls = "implicit"\n'
            + ('auth = "peer"\n' if self.auth else "")
            + f'[auth_profile.peer]\nusername = "{USER}"\npassword_file = "{self.folder}/password"\n'
        )
        tried = ("clear", "verified", "dane", "sts", "implicit")
        for name in (*tried, "wrong", *(["old"] if limited else [])):
            await gateway.inject(SENDER, f"{name}@{name}.example", MESSAGES["plain"])
        for name in tried:
            (stored,) = await server.wait_for(name)
            self.assertEqual(without_traces(stored)[1], MESSAGES["plain"], name)
        for name, pattern in (
            ("clear", r"clear text"),
            ("verified", r"verified by profile"),
            ("dane", r"verified by dane"),
            ("sts", r"verified by mta-sts"),
            ("implicit", r"verified by profile"),
        ):
            await gateway.wait_for_log(rf"{name}\.example.*{pattern}")
        await gateway.wait_for_log(r"wrong\.example.*no TLSA record matches")
        self.assertEqual(server.stored("wrong"), [])
        if limited:
            await limited.wait_for("old")
            await gateway.wait_for_log(r"protocol TLSv1\.2 .*RSA" if self.versions else r"protocol TLSv1\.3")
            await gateway.inject(SENDER, "old@old.example", MESSAGES["plain"] + b"x" * 2 * LIMITED_SIZE)
            await gateway.wait_for_log(r"Bounced: .*5\.3\.4")

    async def test_refusals(self) -> None:
        """One is refused and one waits, the others have the message; too many recipients go in further transactions."""
        server = await self.start_server()
        self.domain("refusals.example")
        gateway = await self.start_with()
        self.close(server)
        names = ["bob", "nobody", "late", "carol"]
        await gateway.inject(SENDER, [f"{name}@refusals.example" for name in names], MESSAGES["dots"])
        await gateway.wait_for_log(r"Bounced: .* MID 1 .*RID 1 - 5\.\d")
        await gateway.wait_for_log(r"Delayed: .* MID 1 .*RID 2 - 4\.\d")
        for name in ("bob", "carol"):
            await server.wait_for(name)
        self.open(server)
        await server.wait_for("late")
        for name in ("bob", "late", "carol"):
            (stored,) = server.stored(name)
            self.assertEqual(without_traces(stored)[1], MESSAGES["dots"], name)
        await gateway.inject(SENDER, [f"{name}@refusals.example" for name in MANY], MESSAGES["plain"])
        await gateway.wait_for_log(r"Message finished MID \d+ done", 15)
        for name in MANY:
            self.assertEqual([without_traces(each)[1] for each in await server.wait_for(name)], [MESSAGES["plain"]])
        self.assertEqual([e for e in gateway.events("recipient_delayed") if e.fields.get("mid") != 1], [])

    async def test_connections(self) -> None:
        """Two messages go over one connection; one that the server closed, or that ended with the server, costs no message a retry."""
        server = await self.start_server()
        self.domain("connections.example")
        gateway = await self.start_with(settings={"delivery": {"idle_timeout": 30.0}})

        async def one(count: int) -> None:
            await gateway.inject(SENDER, "bob@connections.example", MESSAGES["dots"])
            await server.wait_for("bob", count)
            await gateway.wait_for_log(rf"Message finished MID {count} done")

        await one(1)
        await one(2)
        self.assertEqual(self.connections(), 1)
        await server.restart()
        await one(3)
        seen = self.connections()
        self.assertIn(seen, (1, 2))  # some let a session go on until it ends
        if self.closes_when_idle:
            await gateway.wait_for_event("delivery_closed", 10, count=seen)
            await one(4)
            self.assertEqual(self.connections(), seen + 1)
        self.assertEqual(gateway.events("recipient_delayed"), [])

    def connections(self) -> int:
        """How many the gateway has opened."""
        assert self.gateway is not None
        return len({m[1] for line in self.gateway.log_lines() if (m := re.search(r"New SMTP DCID (\d+)", line))})

    def close(self, server: RealServer) -> None:
        """``late@`` is refused for now."""
        server.closed.touch()

    def open(self, server: RealServer) -> None:
        """And taken again."""
        server.closed.unlink()
