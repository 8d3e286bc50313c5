"""How the gateway starts, refuses to start, and stops."""

from __future__ import annotations

import signal
import socket

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from seg.lab.gateway import GatewayError, GatewayProcess
from tests.e2e.base import GatewayCase


class StartAndStopTests(GatewayCase):
    """`twistd seg` as its administrator sees it."""

    async def refused(self, **settings: object) -> tuple[str, int]:
        """What a gateway says that doesn't start, and its exit status."""
        files = self.internet.gateway_configuration(settings=settings)  # type: ignore[arg-type]
        gateway = GatewayProcess(reactor, self.folder / "refused", files)  # type: ignore[arg-type]
        await self.assertFailure(self._start(gateway), GatewayError)
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
        await self.assertFailure(self._start(second), GatewayError)
        self.assertIn("is another gateway running", second.output())
        self.assertEqual((await self.seg_json("status"))["pid"], first.pid)

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
