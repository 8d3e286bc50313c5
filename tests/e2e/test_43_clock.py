"""The system's clock is set while the gateway runs, or was wrong at the start: by libfaketime, in the real process."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from seg.lab.behaviour import Behaviour
from tests.e2e.base import GatewayCase

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
LATER = Behaviour(mail="451 4.3.2 Not now")
HOUR, DAY = 3600, 86400


class ClockTests(GatewayCase):
    """A gateway whose clock a test sets."""

    timeout = 120

    async def setUp(self) -> None:
        if LIBRARY is None:
            raise SkipTest("libfaketime isn't installed")
        await super().setUp()
        self.offset = self.folder / "offset"
        self.set_clock(0)
        environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.patch(os, "environ", {**os.environ, **environment})
        await self.internet.add_domain("later.example")
        self.behave(LATER)

    def set_clock(self, seconds: int) -> None:
        """Set the gateway's clock so far ahead of the true one."""
        self.offset.write_text(f"{seconds:+d}\n")

    def behave(self, behaviour: Behaviour) -> None:
        """What the receiver does from now on."""
        for receiver in self.internet.receivers.values():
            receiver.behaviour = behaviour

    async def deferred(self) -> None:
        """One more message waits for its next try."""
        assert self.gateway is not None
        count = len(self.gateway.events("recipient_delayed")) + 1
        await self.gateway.inject("alice@sender.example", "bob@later.example")
        await self.gateway.wait_for_event("recipient_delayed", count=count)

    async def delivered(self, count: int = 1) -> None:
        """So many were delivered, within the wait of a retry."""
        assert self.gateway is not None
        await self.gateway.wait_for_event("recipients_delivered", timeout=15.0, count=count)

    async def test_set_back(self) -> None:
        """Two hours back: what waits is tried when its wait is over, new mail goes at once, and the step is told."""
        gateway = await self.start_gateway()
        await self.deferred()
        self.set_clock(-2 * HOUR)
        self.behave(Behaviour())
        await self.delivered()
        await gateway.inject("alice@sender.example", "bob@later.example")
        await self.delivered(2)
        await gateway.wait_for_log("Condition clock: the system's clock was set back by 2 hours", timeout=25.0)
        status = await self.seg_json("status")
        self.assertLess(status["uptime"], 100)
        self.assertEqual([each["kind"] for each in status["conditions"] if each["kind"] == "clock"], ["clock"])

    async def test_set_forward(self) -> None:
        """Ten days forward: nothing is returned early; each message is tried and delivered."""
        gateway = await self.start_gateway()
        await self.deferred()
        self.set_clock(10 * DAY)
        await gateway.wait_for_log("Condition clock: the system's clock was set forward by 10 days", timeout=25.0)
        await gateway.wait_for_event("recipient_delayed", count=3)
        self.behave(Behaviour())
        await self.delivered()
        self.assertEqual(gateway.events("recipient_bounced"), [])

    async def test_clock_was_ahead(self) -> None:
        """The clock was two hours ahead when a message was deferred, and the gateway starts with the right one: no wait is longer
        than the longest that there is (10 s in the lab)."""
        self.set_clock(2 * HOUR)
        gateway = await self.start_gateway()
        await self.deferred()
        await gateway.kill()
        self.set_clock(0)
        later = time.time() + 2 * HOUR  # the kernel's times of files can't be faked
        os.utime(gateway.var / "spool" / "counters.json", (later, later))
        self.behave(Behaviour())
        await gateway.start()
        await self.delivered()
        await gateway.wait_for_log(
            "Condition clock: the system's clock is .* behind what this gateway wrote", timeout=25.0
        )

    async def test_timers(self) -> None:
        """An hour back: a client that is silent is disconnected when its time is over."""
        gateway = await self.start_gateway(settings={"receive": {"command_timeout": 3.0}})

        client = socket.create_connection(("127.0.0.1", gateway.port), timeout=15)
        self.addCleanup(client.close)
        await deferToThread(client.recv, 1000)
        self.set_clock(-HOUR)
        await deferLater(reactor, 0)
        self.assertIn(b"421", await deferToThread(client.recv, 1000))
