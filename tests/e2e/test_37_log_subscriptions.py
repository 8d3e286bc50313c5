"""Log subscriptions at real sockets: UDP, a unix datagram socket, TCP; levels that change without a restart."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from seg.lab.internet import free_port
from tests.e2e.base import MESSAGE, GatewayCase
from tests.programs import optional_program

RSYSLOG = """
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imtcp")
input(type="imuxsock" Socket="{folder}/log" CreatePath="off")
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="fields" type="list" option.jsonf="on") {{
  property(outname="by" name="inputname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="process" name="procid" format="jsonf")
  property(outname="event" name="msgid" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
}}
action(type="omfile" file="{folder}/out" template="fields" asyncWriting="off")
"""
COUNTED = re.compile(rb"(\d+) ")


class Collector(Factory):
    """A syslog over TCP in the test."""

    def __init__(self) -> None:
        self.octets = b""
        self.open: set[Protocol] = set()
        self.port: IListeningPort | None = None

    def listen(self, port: int) -> None:
        """Be there."""
        self.port = reactor.listenTCP(port, self, interface="127.0.0.1")  # type: ignore[attr-defined]

    async def leave(self) -> None:
        """Be gone."""
        if self.port is not None:
            await self.port.stopListening()
        self.port = None
        for protocol in list(self.open):
            protocol.transport.abortConnection()  # type: ignore[attr-defined]
        while self.open:
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]

    def buildProtocol(self, addr: object) -> Protocol:
        """A connection of a gateway."""
        return Collecting(self)

    @property
    def messages(self) -> list[str]:
        """What came, by the lengths that it came with (RFC 6587 §3.4.1)."""
        found, rest = [], self.octets
        while match := COUNTED.match(rest):
            end = match.end() + int(match[1])
            found.append(rest[match.end() : end].decode())
            rest = rest[end:]
        assert not rest, rest
        return found


class Collecting(Protocol):
    """One connection."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def connectionMade(self) -> None:
        self._collector.open.add(self)

    def dataReceived(self, data: bytes) -> None:
        self._collector.octets += data

    def connectionLost(self, reason: object = None) -> None:
        self._collector.open.discard(self)


def read_all(server: socket.socket, into: list[str]) -> list[str]:
    """What came to a datagram socket, behind what came before."""
    with contextlib.suppress(BlockingIOError):
        while True:
            into.append(server.recv(65536).decode())
    return into


class LogSubscriptionTests(GatewayCase):
    """One gateway, several readers of its log."""

    async def until(self, what: Callable[[], object], told: Callable[[], object] = lambda: "") -> None:
        """Wait until something is so."""
        for _ in range(300):
            if what():
                return
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.fail(f"never came: {told()}")

    def datagrams(self, family: int, address: object) -> socket.socket:
        """A socket of the test's."""
        server = socket.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(address)
        server.setblocking(False)
        return server

    async def done(self, *words: str) -> str:
        """What a verb prints; it does what it is told."""
        out, err, status = await self.seg(*words)
        self.assertEqual((err, status), ("", 0), words)
        return out

    async def test_datagrams(self) -> None:
        """Syslogs over UDP and a unix socket get their lines after a commit, in their forms, to their levels."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway()
        udp = self.datagrams(socket.AF_INET, ("127.0.0.1", 0))
        local_path = self.folder / "dev-log"
        local = self.datagrams(socket.AF_UNIX, str(local_path))
        address = f"udp:127.0.0.1:{udp.getsockname()[1]}"
        await self.done("logconfig", "new", "siem", "--kind", "syslog", "--address", address, "--events", "delivery")
        await self.done("logconfig", "new", "here", "--kind", "syslog", "--address", f"unix:{local_path}")
        await self.done("logconfig", "edit", "here", "--level", "debug", "--form", "json", "--facility", "local3")
        self.assertEqual((await self.seg_json("commit"))["at_next_start"], [])
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log("Message finished MID 1 done")
        over_udp: list[str] = []
        await self.until(lambda: any("RID [0]" in line for line in read_all(udp, over_udp)), lambda: over_udp)
        for line in over_udp:
            self.assertRegex(line, r"^<22>1 \d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d [!-~]+ seg \d+ [A-Z]\w+ - Info: ")
        over_unix: list[str] = []
        await self.until(
            lambda: any("delivery_started" in line for line in read_all(local, over_unix)), lambda: over_unix
        )
        records = []
        for line in over_unix:
            match = re.fullmatch(r"<15[689]>... [ \d]\d \d\d:\d\d:\d\d seg\[(\d+)\]: (\{.*\})", line)
            assert match is not None, line
            self.assertEqual(int(match[1]), gateway.pid)
            records.append(json.loads(match[2]))
        self.assertIn("debug", {record["level"] for record in records})
        self.assertIn("message_received", {record["event"] for record in records})

    async def test_connection(self) -> None:
        """A TCP syslog that goes away gets its lines when it is back; meanwhile mail goes on."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway()
        collector, port = Collector(), free_port()
        self.addCleanup(collector.leave)
        await self.done("logconfig", "new", "siem", "--kind", "syslog", "--address", f"tcp:127.0.0.1:{port}")
        await self.done("commit")
        await gateway.wait_for_log(
            rf"Warning: syslog siem: tcp:127\.0\.0\.1:{port} takes no lines: .*refused.*; they wait"
        )
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log("Message finished MID 1 done")
        collector.listen(port)
        await gateway.wait_for_log(rf"Info: syslog siem: tcp:127\.0\.0\.1:{port} takes lines again")
        await self.until(lambda: b"Message finished MID 1 done" in collector.octets, lambda: collector.octets)
        await collector.leave()
        await gateway.wait_for_log(r"takes no lines: Connection .*; they wait")
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log("Message finished MID 2 done")
        collector.listen(port)
        await self.until(lambda: b"Message finished MID 2 done" in collector.octets, lambda: collector.octets)
        await gateway.stop()
        await self.until(lambda: not collector.open)
        messages = collector.messages
        self.assertTrue(messages[-1].endswith(" GatewayStopping - Info: SMTP server shut down"), messages[-1])
        texts = [message.partition(" - ")[2] for message in messages]
        logged = [line[25:] for line in gateway.log_lines()]
        wanted = [line for line in logged[logged.index(texts[0]) :] if line != "Info: End Logfile"]
        self.assertEqual(texts, wanted)  # nothing lost, nothing twice, in order

    async def test_levels(self) -> None:
        """Levels, details and files change with a commit, without a restart; the commands read a subscription's file."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway(settings={"log": {"level": "info"}})
        pid = gateway.pid
        await self.done("logconfig", "new", "trouble", "--level", "warning")
        await self.done("logconfig", "new", "all", "--level", "debug", "--message-details", "on")
        await self.done("logconfig", "new", "records", "--form", "json", "--events", "receive")
        self.assertEqual((await self.seg_json("commit"))["at_next_start"], [])
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log("Message finished MID 1 done")
        folder = Path(gateway.folder, "var", "log")
        self.assertIn("Debug: DNS query", await self.done("grep", "Debug: ", "all"))
        self.assertIn("MID 1 Subject 'end to end'", await self.done("findevent", "all", "--subject", "end to"))
        self.assertIn("Message finished MID 1 done", await self.done("tail", "all.log", "-n", "100"))
        self.assertNotIn("MID", await self.done("tail", "trouble"))
        self.assertNotIn("Debug: ", "".join(gateway.log_lines()))
        events = {json.loads(line)["event"] for line in (await self.done("tail", "records", "--json")).splitlines()}
        self.assertLess({"log_opened", "message_received"}, events)
        self.assertNotIn("delivery_started", events)
        entries = (await self.seg_json("logconfig", "list"))["entries"]
        self.assertEqual(
            [(entry["name"], entry["kind"], entry["level"], entry["where"]) for entry in entries],
            [("trouble", "file", "warning", "trouble.log"), ("all", "file", "debug", "all.log"),
             ("records", "file", "info", "records.jsonl")],
        )  # fmt: skip
        out = await self.done("logconfig", "list")
        self.assertIn("mail.log and mail.jsonl: level info", out)
        self.assertRegex(out, r"records +file +info +json +records\.jsonl +receive")

        await self.done("logconfig", "--level", "debug", "--json-twin", "off")
        await self.done("logconfig", "edit", "all", "--level", "info")
        await self.done("logconfig", "delete", "records")
        self.assertEqual((await self.seg_json("commit"))["at_next_start"], [])
        await self.done("dnsflush")
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await self.until(lambda: any("Message finished MID 2 done" in line for line in gateway.log_lines()))
        self.assertIn("Debug: DNS query", "".join(gateway.log_lines()))
        before, _, after = (folder / "all.log").read_text().partition("MID 2")
        self.assertIn("Debug: ", before)
        self.assertNotIn("Debug: ", after)
        for name in ("mail.jsonl", "records.jsonl"):
            self.assertIn('"event":"log_closed"', (folder / name).read_text().splitlines()[-1])
        self.assertIn("message_received", await self.done("grep", "MID|message_received", "records.jsonl"))
        self.assertEqual(gateway.pid, pid)
        _, err, status = await self.seg("tail", "nothing")
        self.assertEqual(status, 1)
        self.assertIn("there is no log nothing in", err)

    async def test_rsyslog(self) -> None:
        """A real rsyslog reads every field over each transport (skipped where there is none)."""
        program = optional_program("rsyslogd", "-v", package="rsyslog")
        await self.internet.add_domain("receiver.example")
        folder, port = self.folder / "rsyslog", free_port()
        folder.mkdir()
        (folder / "conf").write_text(RSYSLOG.format(folder=folder, port=port))
        command = [program, "-n", "-f", str(folder / "conf"), "-i", str(folder / "pid")]
        daemon = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.addCleanup(daemon.communicate)
        self.addCleanup(daemon.terminate)
        await self.until((folder / "log").exists)
        gateway = await self.start_gateway(settings={"gateway": {"hostname": "gw.example.net"}})
        details = "message_details = true\nfacility = 'local5'\n"
        text = gateway.configuration.read_text()
        for name, address in [("imudp", f"udp:127.0.0.1:{port}"), ("imtcp", f"tcp:127.0.0.1:{port}"),
                              ("imuxsock", f"unix:{folder}/log")]:  # fmt: skip
            text += f"\n[[log_subscription]]\nname = '{name}'\nkind = 'syslog'\naddress = '{address}'\n{details}"
        gateway.configuration.write_text(text)
        await self.done("reload")
        subject = "Subject: gr\u00fc\u00dfe".encode()
        await gateway.inject("alice@sender.example", "bob@receiver.example", subject + b"\r\n\r\nx\r\n")

        def read() -> dict[str, dict[str, str]]:
            lines = (folder / "out").read_text("utf-8").splitlines() if (folder / "out").exists() else []
            return {found["by"]: found for found in map(json.loads, lines) if "MID 1 Subject" in found["text"]}

        await self.until(lambda: len(read()) == 3, read)
        for by, found in read().items():
            self.assertEqual((found["severity"], found["facility"], found["app"]), ("info", "local5", "seg"), by)
            self.assertEqual(found["process"], str(gateway.pid), by)
            self.assertEqual(found["text"].lstrip(" \ufeff"), "Info: MID 1 Subject 'gr\u00fc\u00dfe'", by)
            if by != "imuxsock":  # the local form has neither
                self.assertEqual((found["host"], found["event"]), ("gw.example.net", "MessageReceived"), by)
