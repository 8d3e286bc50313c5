"""How the gateway starts, refuses to start, and stops."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from seg.lab.gateway import TWISTD, GatewayProcess, LabGatewayError
from tests.e2e.base import ROOT, GatewayCase


class StartAndStopTests(GatewayCase):
    """`twistd seg` as its administrator sees it."""

    async def refused(self, **settings: object) -> tuple[str, int]:
        """What a gateway says that doesn't start, and its exit status."""
        files = self.internet.gateway_configuration(settings=settings)  # type: ignore[arg-type]
        gateway = GatewayProcess(reactor, self.folder / "refused", files)  # type: ignore[arg-type]
        await self.assertFailure(self._start(gateway), LabGatewayError)
        self.assertFalse((self.folder / "refused" / "var").exists(), "something was made before the check")
        return gateway.output(), gateway.exit_status or 0

    def _start(self, gateway: GatewayProcess) -> object:
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(gateway.start())

    async def test_unknown_key(self) -> None:
        """A slip in the configuration: file, line, key and the nearest right name, exit status 1, nothing bound or made."""
        output, status = await self.refused(receive={"max_mesage_size": 1000000})
        self.assertEqual(status, 1)
        self.assertRegex(output, r"seg\.toml:\d+: .*max_mesage_size.*did you mean max_message_size")

    async def test_port_taken(self) -> None:
        """A port that is taken: one line says so, exit status 1."""
        gateway = await self.start_gateway()
        output, status = await self.refused(listener={"port": gateway.port})
        self.assertEqual(status, 1)
        self.assertIn(f"can't listen at 127.0.0.1:{gateway.port}: Address already in use", output)

    async def test_second_gateway(self) -> None:
        """A second gateway on the same folder is refused, and the first goes on."""
        first = await self.start_gateway()
        files = self.internet.gateway_configuration()
        second = GatewayProcess(reactor, first.folder, files)  # type: ignore[arg-type]
        await self.assertFailure(self._start(second), LabGatewayError)
        self.assertIn("is another gateway running", second.output())
        self.assertIn(f"locked by process {first.pid} on ", second.output())
        self.assertEqual((await self.seg_json("status"))["pid"], first.pid)

    async def test_refused_second_has_written_nothing(self) -> None:
        """A second gateway that shares the queue, the logs or all of var under another name is refused in one line that names the first,
        before it has written anything, whatever its control socket."""
        first = await self.start_gateway()
        before = self._state(first.var)
        for shared in ("", "spool", "log"):
            other = self.folder / f"other{shared}"
            (other / "var").mkdir(parents=True) if shared else other.mkdir()
            (other / "var" / shared).symlink_to(first.var / shared)
            files = self.internet.gateway_configuration(settings={"control": {"socket": str(other / "own.sock")}})
            second = GatewayProcess(reactor, other, files)  # type: ignore[arg-type]
            await self.assertFailure(self._start(second), LabGatewayError)
            refusals = [line for line in second.output().splitlines() if "not started" in line]
            self.assertEqual(len(refusals), 1, second.output())
            self.assertIn(f"locked by process {first.pid} on ", refusals[0])
            self.assertEqual(second.exit_status, 1)
            self.assertEqual(self._state(first.var), before, f"written while only {shared or 'var'} was shared")
            self.assertFalse((other / "own.sock").exists())

    @staticmethod
    def _state(var: Path) -> dict[str, bytes]:
        """What no other gateway may touch."""
        names = ("log/mail.log", "spool/counters.json", "totals.json", "spool/gateway.lock", "suspended.json")
        found = {name: (var / name).read_bytes() for name in names if (var / name).exists()}
        return found | {str(path): b"" for path in (var / "spool").rglob("*") if path.is_file()}

    async def test_starts_after_any_end(self) -> None:
        """What a killed gateway left (its socket, and the link of earlier versions that names a process which lives) doesn't hinder the next."""
        gateway = await self.start_gateway()
        await gateway.kill()
        self.assertTrue(gateway.socket.exists())
        link = gateway.socket.with_name("seg.sock.lock")
        link.symlink_to("1")  # a process that always lives
        await gateway.start()
        self.assertEqual((await self.seg_json("status"))["pid"], gateway.pid)
        self.assertFalse(link.is_symlink())

    async def test_daemon_holds_the_lock(self) -> None:
        """`twistd seg` that goes into the background holds its lock: a second one is refused."""
        files = self.internet.gateway_configuration()
        folder = self.folder / "gateway"
        second = GatewayProcess(reactor, folder, files)  # type: ignore[arg-type]
        pid = folder / "twistd.pid"
        command = ("-c", TWISTD, "--pidfile", str(pid), "--logfile", str(folder / "twistd.log"), "seg", "-c")
        await getProcessOutputAndValue(
            sys.executable,
            (*command, str(second.configuration)),
            env={**os.environ, "PYTHONPATH": ROOT},
            path=str(folder),
        )
        for _ in range(200):
            if second.events("listener_started"):
                break
            await deferLater(reactor, 0.1)
        daemon = int(pid.read_text())
        try:
            other = GatewayProcess(reactor, folder, self.internet.gateway_configuration())  # type: ignore[arg-type]
            await self.assertFailure(self._start(other), LabGatewayError)
            self.assertIn(f"locked by process {daemon} on ", other.output())
        finally:
            os.kill(daemon, signal.SIGTERM)
            for _ in range(100):
                if not pid.exists():
                    break
                await deferLater(reactor, 0.1)

    async def test_clean_stop(self) -> None:
        """SIGTERM: idle clients get 421, the log is ended, the socket is gone; twistd then ends by the same signal."""
        gateway = await self.start_gateway()
        client = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
        self.addCleanup(client.close)
        await deferToThread(client.recv, 1000)
        status = await gateway.stop()
        self.assertEqual(status, -signal.SIGTERM)
        self.assertTrue((await deferToThread(client.recv, 1000)).startswith(b"421 4.3.2 "))
        self.assertTrue(gateway.log_lines()[-1].endswith("Info: End Logfile"))
        self.assertFalse(gateway.socket.exists())
