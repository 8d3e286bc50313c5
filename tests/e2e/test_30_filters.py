"""Filters at real sockets: a milter of ours, Debian's OpenDKIM, rspamd and ClamAV."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import smtplib
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from seg.lab.gateway import GatewayProcess
from seg.lab.internet import free_port
from tests.e2e.base import MESSAGE, ROOT, SEG, GatewayCase, without_trace
from tests.filter.milter_double import CONTINUE, Milter, answer
from tests.plugin_packages import documented
from tests.programs import optional_program

SENDER, RECIPIENT = "alice@sender.example", "bob@receiver.example"


class _Child(ProcessProtocol):
    """A filter as a process."""

    transport: IProcessTransport

    def __init__(self) -> None:
        self.output = b""
        self.gone: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.output += data

    errReceived = outReceived

    def processEnded(self, reason: object) -> None:
        self.gone.callback(None)


class FilterCase(GatewayCase):
    """A gateway with ``[[filter]]`` tables."""

    async def start_filtered(self, *tables: dict[str, object], listener: str = "") -> GatewayProcess:
        """Start it, with one more piece of configuration for its listener."""
        await self.internet.add_domain("receiver.example")
        files = self.internet.gateway_configuration(default={"mta_sts": "off", "dane": "none"})
        self.gateway = GatewayProcess(reactor, self.folder / "gateway", files)  # type: ignore[arg-type]
        text = self.gateway.configuration.read_text() + listener + "\n"
        for table in tables:
            text += "[[filter]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        self.gateway.configuration.write_text(text)
        await self.gateway.start()
        return self.gateway

    async def spawn(self, listening: Callable[[], Awaitable[bool]], *command: str, end_by: str = "TERM") -> _Child:
        """Start a filter, and wait until it listens; it is ended by this signal."""
        child = _Child()
        reactor.spawnProcess(child, command[0], command, env={"PATH": "/usr/sbin:/usr/bin"})  # type: ignore[attr-defined]

        def end() -> Deferred[None]:
            with contextlib.suppress(ProcessExitedAlready):
                child.transport.signalProcess(end_by)
            return child.gone

        self.addCleanup(end)
        for _ in range(200):
            if await listening():
                return child
            if child.gone.called:
                break
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        raise AssertionError(f"{command[0]} doesn't listen: {child.output.decode()}")

    async def refusal(self, content: bytes) -> bytes:
        """What the client hears instead of 250."""
        gateway = self.gateway
        assert gateway is not None

        def talk() -> bytes:
            with smtplib.SMTP("127.0.0.1", gateway.port, local_hostname="c.example", timeout=20) as client:
                try:
                    client.sendmail(SENDER, [RECIPIENT], content)
                except smtplib.SMTPDataError as error:
                    return b"%d %s" % (error.smtp_code, error.smtp_error)
                return b""

        return await deferToThread(talk)


class MilterTests(FilterCase):
    """A milter of ours, in this process; the gateway in another one."""

    def listen(self, milter: Milter) -> str:
        """Its address."""
        path = f"{self.folder}/milter.sock"
        port = reactor.listenUNIX(path, milter)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return f"unix:{path}"

    async def test_changes(self) -> None:
        """All that a milter may do arrives: header, envelope, and a new body larger than what is kept in memory."""
        body = b"".join(b"line %07d\r\n" % number for number in range(20_000))
        pieces = b"".join(answer(b"b", body[start : start + 65535]) for start in range(0, len(body), 65535))
        milter = Milter({
            b"E": [
                answer(b"p")
                + answer(b"h", b"X-Checked\0yes\0")
                + answer(b"i", b"\0\0\0\0X-Top\0first\0")
                + answer(b"m", b"\0\0\0\x01Subject\0changed\0")
                + answer(b"e", b"<new@sender.example>\0")
                + answer(b"-", b"<bob@receiver.example>\0")
                + answer(b"+", b"<carol@receiver.example>\0")
                + pieces
                + answer(CONTINUE)
            ]
        })  # fmt: skip
        await self.internet.add_domain("other.example")
        gateway = await self.start_filtered({"name": "ours", "address": self.listen(milter)})
        large = MESSAGE + b"more of it, so that it goes through the disk\r\n" * 5000
        await gateway.inject(SENDER, RECIPIENT, large)
        (message,) = await self.internet.wait_for_messages("receiver.example")
        self.assertEqual(
            (message.reverse_path, message.recipients), ("new@sender.example", ("carol@receiver.example",))
        )
        top, _, rest = message.content.partition(b"\r\n")
        self.assertEqual(top, b"X-Top: first")
        trace, rest = without_trace(rest)
        self.assertTrue(trace.startswith(b"Received: from "))
        header, _, found = rest.partition(b"\r\n\r\n")
        self.assertEqual(found, body)
        self.assertEqual(
            header, MESSAGE.partition(b"\r\n\r\n")[0].replace(b"end to end", b"changed") + b"\r\nX-Checked: yes"
        )
        self.assertEqual(b"".join(milter.data(b"B")), large.partition(b"\r\n\r\n")[2])
        line = await gateway.wait_for_log("filter ours: ")
        self.assertIn(
            "accept, 3 header changes, reverse-path changed, 1 recipient removed, 1 recipient added, body replaced, 0.",
            line,
        )
        facts = await self.seg_json("status")
        self.assertEqual(facts["counters"]["filters"], {"ours": {"accept": 1}})

    async def test_facts(self) -> None:
        """A milter hears of TLS, of who authenticated, and of the gateway's names for things; and of its listeners' mail only."""
        credential = self.internet.authority.issue(["mx.sender.example"]).write(self.folder / "listener.pem")
        milter, port = Milter(), free_port()
        listener = (
            f'[[listener]]\nname = "secure"\nport = {port}\ntls = "required"\n'
            f'auth = "required"\ncertificate = "{credential}"\n'
        )
        gateway = await self.start_filtered(
            {"name": "ours", "address": self.listen(milter), "listeners": ["secure"]}, listener=listener
        )
        await gateway.inject(SENDER, RECIPIENT, MESSAGE)  # at the other listener
        self.assertEqual(milter.heard, [])

        def talk() -> None:
            command = [*SEG, "--config", str(gateway.configuration), "user", "add", SENDER, "--password-stdin"]
            environment = {**os.environ, "PYTHONPATH": ROOT}
            subprocess.run(
                command,
                check=True,
                input=b"correct horse\n",
                env=environment,
                cwd=gateway.folder,
                stdout=subprocess.DEVNULL,
            )
            with smtplib.SMTP("127.0.0.1", port, local_hostname="c.example", timeout=10) as client:
                client.starttls(context=ssl._create_unverified_context())
                client.login(SENDER, "correct horse")
                client.sendmail(SENDER, [RECIPIENT], MESSAGE)

        await deferToThread(talk)
        self.assertEqual(milter.macros(b"H")["{tls_version}"], "TLSv1.3")
        self.assertEqual(milter.macros(b"C")["j"], "gateway.lab.example")
        self.assertEqual(milter.macros(b"C")["{daemon_name}"], "secure")
        self.assertEqual(milter.macros(b"M")["{auth_authen}"], SENDER)
        self.assertEqual(milter.macros(b"M")["{auth_type}"], "PLAIN")
        self.assertEqual(milter.data(b"M")[0].split(b"\0")[0], b"<alice@sender.example>")

    async def test_hold_and_release(self) -> None:
        """A quarantined message waits until an operator releases it."""
        milter = Milter({b"E": [answer(b"q", b"looks odd\0") + answer(CONTINUE)]})
        gateway = await self.start_filtered({"name": "ours", "address": self.listen(milter)})
        await gateway.inject(SENDER, RECIPIENT, MESSAGE)
        await gateway.wait_for_log("MID 1 held by filter ours: looks odd")
        (held,) = (await self.seg_json("queue", "list", "--held"))["messages"]
        self.assertEqual((held["state"], held["error"]), ("held", "held by filter ours: looks odd"))
        await gateway.restart()
        out, err, status = await self.seg("queue", "release", str(held["mid"]))
        self.assertEqual((out, err, status), ("1 message released.\n", "", 0))
        await self.internet.wait_for_messages("receiver.example")

    async def test_away(self) -> None:
        """With nobody at the address `when_away` decides, and once the milter is there again it is asked."""
        gateway = await self.start_filtered({"name": "ours", "address": f"unix:{self.folder}/milter.sock"})
        self.assertEqual(await self.refusal(MESSAGE), b"451 4.7.1 Service unavailable; try again later")
        line = await gateway.wait_for_log("filter ours is away, so tempfail")
        self.assertIn("can't connect: No such file or directory", line)
        self.assertIn("Warning: ", line)
        self.listen(Milter({b"E": [answer(b"y", b"550 5.7.1 Infected\0")]}))
        self.assertEqual(await self.refusal(MESSAGE), b"550 5.7.1 Infected")

    async def test_reload(self) -> None:
        """A filter that is added while the gateway runs judges what comes after a reload; one that can't be had changes nothing."""
        milter = Milter()
        gateway = await self.start_filtered()
        await gateway.inject(SENDER, RECIPIENT, MESSAGE)
        text = gateway.configuration.read_text()
        for address, said in ((self.listen(milter), 0), ("unix:/nowhere", 1)):
            kind = "nothing" if said else "milter"
            gateway.configuration.write_text(
                f'{text}[[filter]]\nname = "ours"\nkind = "{kind}"\naddress = "{address}"\n'
            )
            out, err, status = await self.seg("reload")
            self.assertEqual(status, said, (out, err))
        self.assertIn('there is no filter of kind "nothing"', out + err)
        await gateway.inject(SENDER, RECIPIENT, MESSAGE)
        await self.internet.wait_for_messages("receiver.example", 2)
        self.assertEqual(milter.commands, "OCHMRTLLLLNBEQ")


class PluginTests(FilterCase):
    """A filter of a third party, installed as its documentation says."""

    async def test_documented_one(self) -> None:
        """It marks one message and holds another."""
        self.install_plugin("acme_filter", documented("filters.md"))
        gateway = await self.start_filtered({"name": "invoices", "kind": "acme", "address": "invoice"})
        await gateway.inject(SENDER, RECIPIENT, MESSAGE)
        (message,) = await self.internet.wait_for_messages("receiver.example")
        self.assertIn(b"\r\nX-Acme: seen, from 127.0.0.1\r\n\r\n", message.content)
        await gateway.inject(SENDER, RECIPIENT, MESSAGE.replace(b"end to end", b"Your invoice"))
        await gateway.wait_for_log("MID 2 held by filter invoices: its subject has 'invoice'")


class OpenDKIMTests(FilterCase):
    """Debian's ``opendkim``."""

    async def test_signed_and_verified(self) -> None:
        """What one OpenDKIM signs another one, behind it, verifies: the second sees the first one's field, and content is exact."""
        program = optional_program("opendkim", "-V")
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        public = base64.b64encode(
            key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        ).decode()
        (self.folder / "key.pem").write_bytes(pem)
        (self.folder / "key.pem").chmod(0o600)
        (self.folder / "public").write_text(f"one._domainkey.sender.example v=DKIM1; k=rsa; p={public}\n")
        common = "Syslog no\nRequireSafeKeys no\nCanonicalization simple/simple\n"
        signer = await self.opendkim(
            program,
            "signer",
            f"{common}Mode s\nDomain sender.example\nSelector one\nKeyFile {self.folder}/key.pem\n",
        )
        verifier = await self.opendkim(
            program,
            "verifier",
            f"{common}Mode v\nTestPublicKeys {self.folder}/public\nAuthservID gateway.lab.example\nAlwaysAddARHeader yes\n",
        )
        gateway = await self.start_filtered(
            {"name": "opendkim", "address": signer}, {"name": "verifier", "address": verifier}
        )
        await gateway.inject(SENDER, RECIPIENT, MESSAGE)
        (message,) = await self.internet.wait_for_messages("receiver.example")
        self.assertEqual(message.content.count(b"DKIM-Signature: v=1;"), 1)
        self.assertIn(b"dkim=pass", message.content)
        self.assertTrue(message.content.endswith(MESSAGE))
        await gateway.wait_for_log("filter opendkim: accept, 1 header change")

    async def opendkim(self, program: str, name: str, configuration: str) -> str:
        """Start one; its address."""
        path = self.folder / f"{name}.conf"
        socket = self.folder / f"{name}.sock"
        path.write_text(f"{configuration}Socket local:{socket}\nPidFile {self.folder}/{name}.pid\n")

        async def listening() -> bool:
            return socket.exists()

        # libmilter looks for a TERM every five seconds only.
        await self.spawn(listening, program, "-f", "-x", str(path), end_by="KILL")
        return f"unix:{socket}"


class RspamdTests(FilterCase):
    """Debian's ``rspamd``."""

    async def test_gtube(self) -> None:
        """The test pattern for spam filters is refused in rspamd's words; other mail passes."""
        program = optional_program("rspamd", "--version")
        port = free_port()
        configuration = self.folder / "rspamd.conf"
        (self.folder / "tld").write_text("com\nexample\n")
        configuration.write_text(RSPAMD.format(folder=self.folder, port=port))

        async def listening() -> bool:
            return await deferToThread(_answers, port)

        await self.spawn(listening, program, "-f", "-i", "-c", str(configuration))
        gateway = await self.start_filtered({"name": "rspamd", "address": f"inet:127.0.0.1:{port}"})
        self.assertEqual(await self.refusal(MESSAGE), b"")
        await self.internet.wait_for_messages("receiver.example")
        self.assertIn(b"Gtube", await self.refusal(MESSAGE + GTUBE + b"\r\n"))
        await gateway.wait_for_log("filter rspamd: reject, 5")


GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
RSPAMD = """
options {{
    filters = "";
    url_tld = "{folder}/tld";  # the list of all domains takes long to compile
    disable_hyperscan = true;
    hs_cache_dir = "{folder}";
    rundir = "{folder}";
    dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "console"; level = "error"; }}
actions {{ reject = 15; add_header = 6; }}
worker "rspamd_proxy" {{
    bind_socket = "127.0.0.1:{port}";
    milter = yes;
    count = 1;
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
"""


class ClamAVTests(FilterCase):
    """Debian's ``clamd`` and ``clamav-milter``, with a signature of ours as the database."""

    async def test_infected(self) -> None:
        """An infected message, in an attachment of several megabytes too, is refused in its words; others pass marked."""
        gateway = await self.start_filtered({"name": "clamav", "address": await self.clamav("Reject")})
        self.assertEqual(await self.refusal(MESSAGE), b"")
        (message,) = await self.internet.wait_for_messages("receiver.example")
        self.assertIn(b"X-Virus-Status: Clean", message.content)
        refusal = await self.refusal(MESSAGE + VIRUS + b"\r\n")
        self.assertEqual(refusal, b"550 5.7.1 Infected: Seg.Test.Signature.UNOFFICIAL")
        attached = EmailMessage()
        attached["Subject"] = "invoice"
        attached.set_content("see the attachment")
        attached.add_attachment(bytes(3_000_000) + VIRUS, "application", "octet-stream", filename="invoice.pdf")
        self.assertEqual(await self.refusal(attached.as_bytes(policy=SMTP)), refusal)
        await gateway.wait_for_log("filter clamav: reject, 550 5.7.1 Infected: Seg.Test.Signature.UNOFFICIAL")

    async def test_quarantine(self) -> None:
        """What ClamAV puts into quarantine is held here."""
        gateway = await self.start_filtered({"name": "clamav", "address": await self.clamav("Quarantine")})
        await gateway.inject(SENDER, RECIPIENT, MESSAGE + VIRUS + b"\r\n")
        await gateway.wait_for_log("MID 1 held by filter clamav: quarantined by clamav-milter")
        (held,) = (await self.seg_json("queue", "list", "--held"))["messages"]
        self.assertEqual(held["state"], "held")

    async def clamav(self, infected: str) -> str:
        """Start both; the milter's address."""
        scanner = optional_program("clamd", "--version", package="clamav-daemon")
        milter = optional_program("clamav-milter", "--version")
        database = self.folder / "signatures"
        database.mkdir()
        (database / "seg.ndb").write_text(f"Seg.Test.Signature:0:*:{VIRUS.hex()}\n")
        user = pwd.getpwuid(os.getuid()).pw_name
        common = f"Foreground yes\nUser {user}\n"
        sockets = {name: self.folder / f"{name}.sock" for name in ("clamd", "milter")}
        files = {
            "clamd": f"{common}DatabaseDirectory {database}\nLocalSocket {sockets['clamd']}\n",
            "milter": f"{common}MilterSocket unix:{sockets['milter']}\nClamdSocket unix:{sockets['clamd']}\n"
            f"OnInfected {infected}\nRejectMsg Infected: %v\nAddHeader Replace\n",
        }
        for name, program in (("clamd", scanner), ("milter", milter)):
            configuration = self.folder / f"{name}.conf"
            configuration.write_text(files[name])

            async def listening(socket: Path = sockets[name]) -> bool:
                return socket.exists()

            await self.spawn(listening, program, "-c", str(configuration), end_by="KILL")
        return f"unix:{sockets['milter']}"


VIRUS = b"not a virus, but the words that the tests of seg look for"


def _answers(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
