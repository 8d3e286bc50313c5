"""Starting, watching and ending a gateway process, with a stand-in for the gateway."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from seg.lab.configuration import gateway_files
from seg.lab.gateway import GatewayProcess, LabGatewayError
from seg.lab.internet import free_port

STUB = str(Path(__file__).with_name("stub_gateway.py"))


class GatewayProcessTests(TestCase):
    """The life of the process and its log."""

    def gateway(self, mode: str = "good") -> GatewayProcess:
        """A process that isn't started yet."""
        files = gateway_files(free_port(), {}, {}, {}, {}, {})
        command = (sys.executable, STUB, mode)
        gateway = GatewayProcess(reactor, Path(self.mktemp()).absolute(), files, command=command)  # type: ignore[arg-type]
        self.addCleanup(gateway.kill)
        return gateway

    async def test_start_waits_for_the_listener(self) -> None:
        """Once started it takes mail, and what it logs can be waited for."""
        gateway = self.gateway()
        await gateway.start()
        self.assertTrue(gateway.running)
        self.assertGreater(gateway.pid, 0)
        refused = await gateway.inject("alice@a.example", ["bob@b.example"], b"Subject: x\r\n\r\nhello\r\n")
        self.assertEqual(refused, {})
        event = await gateway.wait_for_event("content", line="hello\r\n")
        self.assertEqual(event["line"], "hello\r\n")
        line = await gateway.wait_for_log(r"command.*<bob@b\.example>")
        self.assertIn("rcpt TO:<bob@b.example>", line)

    async def test_stop(self) -> None:
        """SIGTERM ends it, and the signal is told."""
        gateway = self.gateway()
        await gateway.start()
        self.assertEqual(await gateway.stop(), -signal.SIGTERM)
        self.assertFalse(gateway.running)

    async def test_kill_and_start_again(self) -> None:
        """After a kill it can be started again, and the new start is waited for, not the old one's line."""
        gateway = self.gateway()
        await gateway.start()
        await gateway.kill()
        self.assertEqual(gateway.exit_status, -signal.SIGKILL)
        await gateway.start()
        self.assertEqual(len(gateway.events("listener_started")), 2)
        await gateway.restart()
        self.assertEqual(len(gateway.events("listener_started")), 3)

    async def test_bad_start(self) -> None:
        """A gateway that ends while it starts is reported with its last words and exit status."""
        gateway = self.gateway("broken")
        with self.assertRaises(LabGatewayError) as caught:
            await gateway.start()
        self.assertIn("ended while it was started. Its exit status is 3.", str(caught.exception))
        self.assertIn("this can't be used", str(caught.exception))

    async def test_never_listens(self) -> None:
        """A gateway that doesn't come to listen is reported after the time given."""
        gateway = self.gateway("deaf")
        with self.assertRaises(LabGatewayError) as caught:
            await gateway.start(timeout=0.5)
        self.assertIn("didn't start to listen within 0.5 seconds", str(caught.exception))

    async def test_waiting_in_vain(self) -> None:
        """What doesn't come into the log is reported with its last lines."""
        gateway = self.gateway()
        await gateway.start()
        with self.assertRaises(LabGatewayError) as caught:
            await gateway.wait_for_log("never", timeout=0.1)
        self.assertIn("listener_started", str(caught.exception))
        with self.assertRaises(LabGatewayError):
            await gateway.wait_for_event("listener_started", timeout=0.1, count=2)
