"""Much is deleted at once, at a terminal, while mail goes on."""

from __future__ import annotations

import os
import pwd
import re
import smtplib

import pexpect
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from tests.e2e.base import MESSAGE, GatewayCase

MANY, MEANWHILE = 1600, 40


class BulkDeletionTests(GatewayCase):
    """A queue with many messages for one destination, and deliveries to another."""

    def send(self, domain: str, count: int) -> None:
        """So many messages over one connection."""
        assert self.gateway is not None
        with smtplib.SMTP("127.0.0.1", self.gateway.port, local_hostname="c.example", timeout=20) as client:
            for _ in range(count):
                client.sendmail("alice@sender.example", [f"bob@{domain}"], MESSAGE)

    async def test_progress(self) -> None:
        """It says how many it will hit, asks once, shows progress, and tells who did it; what is for others is delivered meanwhile."""
        await self.internet.add_domain("much.example")
        await self.internet.add_domain("other.example")
        gateway = await self.start_gateway()
        await self.seg("suspenddel", "much.example")
        await deferToThread(self.send, "much.example", MANY)

        def delete() -> str:
            terminal = self.terminal("deleterecipients", "--domain", "much.example")
            terminal.expect_exact(f"Are you sure you want to delete {MANY} messages? [N]> ")
            terminal.sendline("y")
            terminal.expect_exact("Deleting messages, please wait.")
            terminal.expect_exact(f"{MANY} messages deleted.")
            terminal.expect(pexpect.EOF)
            return str(terminal.before)

        await gatherResults([
            deferToThread(delete),
            deferToThread(self.send, "other.example", MEANWHILE),
            self.internet.wait_for_messages("other.example", MEANWHILE, timeout=40),
        ])  # fmt: skip
        self.assertEqual((await self.seg_json("status"))["queue"]["messages"], 0)
        self.assertEqual(self.internet.messages("much.example"), [])
        user = pwd.getpwuid(os.getuid()).pw_name
        deleted = [line for line in gateway.log_lines() if re.search(rf"Deleted: MID \d+ to \[0\] by {user}", line)]
        self.assertEqual(len(deleted), MANY)
