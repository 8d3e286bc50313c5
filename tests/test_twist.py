"""``twist seg`` starts the same gateway as ``twistd seg``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.gateway.service import GatewayService


class StartTests(SynchronousTestCase):
    """`GatewayService.startService`."""

    def test_ports_are_bound(self) -> None:
        """`twistd` has the ports bound before it gives up its rights; `twist` never asks for that, and they are bound all the same, once."""
        for before in (False, True):
            service = GatewayService.__new__(GatewayService)
            done: list[str] = []

            async def start(done: list[str] = done) -> None:
                done.append("started")

            service._bound = before
            service.__dict__["privilegedStartService"] = lambda done=done: done.append("bound")
            service.__dict__["_start"] = start
            service.startService()
            self.assertEqual(done, ["started"] if before else ["bound", "started"])
