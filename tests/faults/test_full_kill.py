"""kill -9 of the real gateway while its disk is full: root only, as file systems are mounted for it."""

from __future__ import annotations

import os
import subprocess
import unittest
from pathlib import Path

from seg.lab.behaviour import Behaviour, StartTLS
from seg.lab.world import MX, Policy
from tests.e2e.base import GatewayCase
from tests.faults.test_disks import fill, mount
from tests.programs import optional_program

WAITING = 20  # messages


class FullDiskKillTests(GatewayCase):
    """``var`` is full; the log has room, for the test to read."""

    timeout = 120

    async def setUp(self) -> None:
        if os.getuid():
            raise unittest.SkipTest("needs root, to mount file systems")
        optional_program("mount", "--version", shows="util-linux")
        await super().setUp()
        self.mounts: list[Path] = []
        self.disk = self.folder / "gateway" / "var"
        self.mounted(self.disk, "size=16m")
        self.mounted(self.disk / "log", "size=16m")

    def mounted(self, folder: Path, options: str) -> None:
        mount(folder, options)
        self.mounts.append(folder)

    async def _down(self) -> None:
        try:
            await super()._down()
        finally:
            for folder in reversed(self.mounts):
                subprocess.run(["umount", "-l", str(folder)], check=False)

    async def wait(self) -> list[str]:
        """Mail is held, and one message waits whose domain's policy isn't known yet; recipients of the others."""
        assert self.gateway is not None
        await self.gateway.seg("suspenddel")
        waiting = [f"user{number}@plain.example" for number in range(WAITING)]
        for recipient in ("held@sts.example", *waiting):
            await self.gateway.inject("alice@sender.example", recipient)
        self.assertEqual((await self.gateway.seg("queue", "hold", "--all")).status, 0)
        await self.gateway.inject("alice@sender.example", "first@sts.example")
        return waiting

    async def test_killed(self) -> None:
        """It starts again on the full disk, nothing that was accepted is lost, what was held is held, and an enforced policy that was fetched
        on the full disk holds behind the kill, for a domain whose policy host is gone and whose MX is forged by then."""
        internet = self.internet
        await internet.add_domain("plain.example")
        await internet.add_domain("sts.example", policy=Policy())
        gateway = await self.start_gateway(settings={"queue": {"first_retry": 1.0, "max_retry": 2.0}})
        waiting = await self.wait()
        filler = fill(self.disk)
        await gateway.seg("resumedel")
        await internet.wait_for_messages("sts.example", 1)
        await gateway.wait_for_log("TLS policy for sts.example via mx.sts.example: .*-> .*verified", 20)
        await gateway.kill()

        internet.remove_policy("sts.example")
        forged = MX("forged.example", behaviour=Behaviour(starttls=StartTLS.ABSENT))
        await internet.add_receiver(forged)
        internet.nameserver.replace("sts.example", "MX", "10 forged.example.")
        fill(self.disk)
        await gateway.start()
        await gateway.seg("resumedel")  # what was said on the full disk was in force, and couldn't be written down
        self.assertEqual(internet.messages("plain.example"), [])
        self.assertIn("held@sts.example", (await gateway.seg("queue", "list", "--held")).output)
        self.assertEqual((await gateway.seg("queue", "release", "--all")).status, 0)
        line = await gateway.wait_for_log("TLS policy for sts.example via forged.example", 20)
        self.assertIn("MX not in policy", line)
        self.assertEqual(len(internet.messages("sts.example")), 1)
        await internet.wait_for_messages("plain.example", WAITING, 30)
        self.assertLessEqual(
            set(waiting), {name for each in internet.messages("plain.example") for name in each.recipients}
        )

        filler.unlink()
        (self.disk / "filler").unlink(missing_ok=True)
        internet.nameserver.replace("sts.example", "MX", "10 mx.sts.example.")
        await gateway.seg("dnsflush")
        await internet.wait_for_messages("sts.example", 2, 30)
