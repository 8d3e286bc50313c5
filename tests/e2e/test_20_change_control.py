"""Changes by dialogue and in one line, committed while mail flows, through a real terminal."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pexpect
from twisted.internet.threads import deferToThread

from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.internet import free_port
from seg.lab.world import MX
from tests.e2e.base import MESSAGE, GatewayCase

BROKEN = Behaviour(certificate=Certificate.OTHER_NAME)

# What the gateway asks, and what is typed.
DIALOGUE = (
    ("Enter the domain you wish to configure.\r\n[]> ", "receiver.example"),
    ("Do you wish to configure a specific IP address preference for receiver.example? [N]> ", ""),
    ("Do you wish to configure a concurrency limit for receiver.example? [Y]> ", ""),
    ('Enter the max concurrency limit for "receiver.example".\r\n[500]> ', "0"),
    ("Please answer with a number from 1 to 1000.", None),
    ("[500]> ", "20"),
    ("Do you wish to apply a messages-per-connection limit to this domain? [N]> ", "y"),
    ('Enter the max number of messages per connection for "receiver.example".\r\n[50]> ', "5"),
    ("Do you wish to apply a recipient limit to this domain? [N]> ", ""),
    (
        "Select how you want to apply the limits for receiver.example:\r\n1. One limit applies to the entire domain "
        "receiver.example\r\n2. Separate limit for each mail exchanger IP address\r\n[1]> ",
        "2",
    ),
)
TLS_DIALOGUE = (
    ("Do you wish to apply a specific TLS setting for this domain? [N]> ", "y"),
    (
        "Do you want to use TLS support?\r\n1. No\r\n2. Preferred\r\n3. Required\r\n4. Preferred - Verify\r\n"
        "5. Required - Verify\r\n6. Required - Verify Hosted Domains\r\n[2]> ",
        "6",
    ),
    (
        "You have chosen to enable TLS. Please use the 'certconfig' command to ensure that there is a valid certificate "
        "configured.",
        None,
    ),
    ("Do you wish to configure DANE support? [N]> ", ""),
    ("Do you wish to configure MTA STS support? [N]> ", "y"),
    ("Do you want to use MTA STS support?\r\n1. Off\r\n2. On\r\n3. Monitor\r\n[1]> ", "2"),
    ("MTA STS is not enforced for domains that have SMTP routes configured", None),
)


class ChangeTests(GatewayCase):
    """An operator at a terminal, and a script."""

    def type_in(self, terminal: pexpect.spawn, dialogue: tuple[tuple[str, str | None], ...]) -> None:
        """See each text, and type the answer."""
        for text, answer in dialogue:
            terminal.expect_exact(text)
            if answer is not None:
                terminal.sendline(answer)

    async def test_dialogue(self) -> None:
        """The vendor's dialogue, typed as shown, and a commit: the next delivery goes by it, without a restart."""
        await self.internet.add_domain("receiver.example", mx=[MX("mx.receiver.example", behaviour=BROKEN)])
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await self.internet.wait_for_messages("receiver.example")

        def type_all() -> None:
            terminal = self.terminal("destconfig", "new")
            self.type_in(terminal, DIALOGUE)
            self.type_in(terminal, TLS_DIALOGUE)
            while terminal.expect(["\\[N\\]> ", "Nothing takes effect until: seg commit"]) == 0:
                terminal.sendline("")
            terminal.expect(pexpect.EOF)
            terminal = self.terminal("commit")
            terminal.expect_exact("Please enter some comments describing your changes:\r\n[]> ")
            terminal.sendline("hosted at a provider")
            terminal.expect_exact("Changes committed: ")
            terminal.expect(pexpect.EOF)

        await deferToThread(type_all)
        detail = await self.seg_json("destconfig", "detail", "receiver.example")
        profile = detail["profile"]
        self.assertEqual(
            (profile["tls"], profile["mta_sts"], profile["concurrent_connections"], profile["messages_per_connection"]),
            ("required-verify-hosted", "on", 20, 5),
        )
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log(r"Delayed: .* does not satisfy the TLS policy \(profile\)")
        self.assertEqual(len(self.internet.messages("receiver.example")), 1)

    async def test_one_line(self) -> None:
        """The same in one line; a wrong value names the right ones and stages nothing; a rollback undoes it."""
        await self.internet.add_domain("receiver.example", mx=[MX("mx.receiver.example", behaviour=BROKEN)])
        gateway = await self.start_gateway()
        _, err, status = await self.seg("destconfig", "new", "receiver.example", "--tls", "requird")
        self.assertEqual(status, 2)
        self.assertIn('"requird" isn\'t one of: required, ', err)
        out, _, _ = await self.seg("changes")
        self.assertEqual(out, "No changes pending.\n")
        command = ("destconfig", "new", "receiver.example", "--tls", "required-verify", "--mta-sts", "on")
        staged = await self.seg_json(*command)
        self.assertIn('+[destination."receiver.example"]', staged["diff"])
        _, err, status = await self.seg(*command)
        self.assertEqual(status, 1)
        self.assertIn("has an entry already", err)
        done = await self.seg_json("commit", "-m", "one line")
        self.assertEqual((done["comment"], done["at_next_start"]), ("one line", []))
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log(r"Delayed: .* does not satisfy the TLS policy \(profile\)")
        await gateway.wait_for_log(r"Operator \w+: commit \d+: one line")
        out, err, status = await self.seg("rollbackconfig", "1", "--commit")
        self.assertEqual((err, status), ("", 0))
        await self.seg("queue", "retry", "--all")
        await self.internet.wait_for_messages("receiver.example")

    async def test_no_connection_dropped(self) -> None:
        """A client in the middle of a message keeps its connection while listeners and limits change."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway()
        port = await deferToThread(self._dialogue_begins)
        edits = gateway.configuration.read_text().replace("[receive]", "[receive]\nmax_recipients = 1")
        if "[receive]" not in edits:
            edits += "\n[receive]\nmax_recipients = 1\n"
        gateway.configuration.write_text(edits)
        out, err, status = await self.seg("reload")
        self.assertEqual((err, status), ("", 0))
        self.assertIn("Read again and in force", out)
        await deferToThread(self._dialogue_ends, port)
        await self.internet.wait_for_messages("receiver.example")
        gateway.configuration.write_text(edits + "\n[recieve]\n")
        _, err, status = await self.seg("reload")
        self.assertEqual(status, 1)
        self.assertIn("[recieve]: unknown section; did you mean receive?", err)

    def _dialogue_begins(self) -> socket.socket:
        assert self.gateway is not None
        client = socket.create_connection(("127.0.0.1", self.gateway.port), 10)
        stream = client.makefile("rwb", buffering=0)
        stream.readline()
        for command in (b"HELO client", b"MAIL FROM:<a@sender.example>", b"RCPT TO:<b@receiver.example>"):
            stream.write(command + b"\r\n")
            self.assertEqual(stream.readline()[:3], b"250")
        return client

    def _dialogue_ends(self, client: socket.socket) -> None:
        stream = client.makefile("rwb", buffering=0)
        stream.write(b"RCPT TO:<c@receiver.example>\r\n")  # by the rules that it began with
        self.assertEqual(stream.readline()[:3], b"250")
        stream.write(b"DATA\r\n")
        self.assertEqual(stream.readline()[:3], b"354")
        stream.write(MESSAGE + b".\r\n")
        self.assertEqual(stream.readline()[:3], b"250")
        client.close()

    async def test_sections(self) -> None:
        """Listeners, routes, resolvers and bounce profiles by their commands: in force with the commit, all at once."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway()
        address, port = self.internet.domains["receiver.example"].receivers[0].address, self.internet.port
        commands = (
            ("listenerconfig", "new", "second", "--port", "0"),
            ("listenerconfig", "edit", "second", "--banner", "the second"),
            ("smtproutes", "new", "routed.example", f"{address}:{port}"),
            ("smtproutes", "new", "direct.example", "USEDNS"),
            ("bounceconfig", "new", "patient", "--lifetime", "7d"),
            ("destconfig", "default", "--bounce-profile", "patient"),
            ("deliveryconfig", "--max-hosts", "3"),
            ("logconfig", "--keep", "11"),
        )
        for command in commands:
            self.assertEqual((await self.seg(*command))[1:], ("", 0), command)
        done = await self.seg_json("commit")
        self.assertEqual(done["at_next_start"], [])
        listeners = (await self.seg_json("status"))["listeners"]
        self.assertEqual([each["name"] for each in listeners][1:], ["second"])
        found = await self.seg_json("smtproutes", "print")
        self.assertEqual([route["domain"] for route in found["routes"]], ["routed.example", "direct.example"])
        await gateway.inject("alice@sender.example", "bob@routed.example", MESSAGE)
        await self.internet.wait_for_messages("routed.example")
        self.assertEqual((await self.seg_json("deliveryconfig"))["max_hosts"], {"value": 3, "default": False})
        _, err, status = await self.seg("bounceconfig", "delete", "patient")
        self.assertEqual(status, 1)
        self.assertIn('there is no [bounce_profile."patient"]', err)
        _, err, status = await self.seg("smtproutes", "edit", "nowhere.example", "USEDNS")
        self.assertIn("has no route (seg smtproutes print)", err)
        out, _, _ = await self.seg("listenerconfig", "list")
        self.assertRegex(out, r"second +port = 0, banner = the second")

    async def test_ini(self) -> None:
        """The table goes out as INI and comes in again; what is only here is kept or removed as asked."""
        await self.start_gateway(profiles={"one.example": {"tls": "required"}, "two.example": {"tls": "no"}})
        out, _, _ = await self.seg("destconfig", "export")
        self.assertIn("[one.example]\ntable_tls = required\n", out)
        file = Path(self.folder, "controls.ini")
        file.write_text("[DEFAULT]\nmax_host_concurrency = 7\n[two.example]\ntable_tls = require_verify\n")
        _, err, status = await self.seg("destconfig", "import", str(file))
        self.assertEqual(status, 2)
        self.assertIn("--merge to keep or --replace to remove", err)
        await self.seg("destconfig", "import", str(file), "--replace")
        await self.seg("commit", "table of the old gateway")
        found = await self.seg_json("destconfig", "list")
        table = {entry["domain"]: (entry["tls"], entry["concurrent_connections"]) for entry in found["destinations"]}
        self.assertEqual(table, {"two.example": ("required-verify", 7), "Default": ("preferred", 7)})
        file.write_text("[two.example]\ntable_tsl = 1\n")
        _, err, status = await self.seg("destconfig", "import", str(file), "--merge")
        self.assertEqual(status, 1)
        self.assertIn("controls.ini:2: [two.example] table_tsl: unknown key; did you mean table_tls?", err)

    async def test_metrics_and_spool(self) -> None:
        """The metrics' address and what concerns the whole spool change live, too; an address that can't be had changes nothing."""
        await self.internet.add_domain("sender.example")
        await self.internet.add_domain(
            "receiver.example", mx=[MX("mx.receiver.example", behaviour=Behaviour(mail="550 5.1.0 no"))]
        )
        gateway = await self.start_gateway(settings={"queue": {"max_report_size": 0}})
        text = gateway.configuration.read_text()
        first, second = free_port(), free_port()
        for port in (first, second):
            gateway.configuration.write_text(f'{text}\n[metrics]\naddress = "127.0.0.1"\nport = {port}\n')
            self.assertEqual((await self.seg_json("reload"))["changed"], True)
            page = await deferToThread(self._metrics, port)
            self.assertIn("seg_queue_messages", page)
        self.assertEqual(await deferToThread(self._metrics, first), "")
        gateway.configuration.write_text(f'{text}\n[metrics]\naddress = "127.0.0.1"\nport = {gateway.port}\n')
        _, err, status = await self.seg("reload")
        self.assertEqual(status, 1)
        self.assertIn(f"[metrics] address: can't listen at 127.0.0.1:{gateway.port}", err)
        self.assertIn("seg_queue_messages", await deferToThread(self._metrics, second))
        gateway.configuration.write_text(text)
        await self.seg("reload")
        self.assertEqual(await deferToThread(self._metrics, second), "")
        await self.seg("queueconfig", "--max-report-size", "10000", "--memory", "0")
        done = await self.seg_json("commit", "-m", "quote it")
        self.assertEqual(done["at_next_start"], [])
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        (report,) = await self.internet.wait_for_messages("sender.example")
        self.assertIn(b"trailing blanks", report.content)

    def _metrics(self, port: int) -> str:
        """The page; "" when nobody listens there."""
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                return str(answer.read().decode())
        except URLError:
            return ""
