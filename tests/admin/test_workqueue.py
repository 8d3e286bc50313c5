"""The work queue and the DNS over the API, without a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.counters import EventCounters
from seg.admin.dns import DNSRoutes
from seg.admin.http import APIError
from seg.admin.suspension import Suspension
from seg.admin.traffic import Traffic
from seg.admin.wire.gateway import LONGEST_REASON
from seg.admin.workqueue import WorkQueueRoutes
from seg.dns.cache import DNSCounters
from seg.dns.servers import DEMOTION, make_servers
from seg.events.gateway import OperatorActed
from seg.receive.workqueue import WorkQueue
from tests.admin.asking import ask
from tests.doubles import RecordingSink


class WorkQueueTests(SynchronousTestCase):
    """`WorkQueueRoutes`."""

    def setUp(self) -> None:
        self.sink, self.work, self.told = RecordingSink(), WorkQueue(), 0
        self.path = Path(self.mktemp())
        self.suspension = Suspension(self.path, [], self.sink, Clock(), self.changed)
        self.api = WorkQueueRoutes(self.suspension, self.work, lambda: 3, self.sink, lambda: 7.0)

    def changed(self) -> None:
        """What is suspended has changed."""
        self.told += 1

    def change(self, **body: object) -> Any:
        """What a change answers; an error as (status, text)."""
        answer = Deferred.fromCoroutine(ask(self.api, "POST", "/v1/workqueue", body=body))
        error: list[Any] = []
        answer.addErrback(lambda failure: error.append(failure.value))
        if error:
            assert isinstance(error[0], APIError)
            return error[0].status, error[0].text
        return self.successResultOf(answer)

    def test_pause(self) -> None:
        """A pause has its reason on one line, who and when; it is told to the engine and the log; a second one is refused."""
        self.work.entered, self.work.left = 5, 3
        found = self.change(pause=" too \n much ")
        self.assertEqual(found["paused"], {"reason": "too much", "by": "root", "since": 7.0})
        self.assertEqual([found[name] for name in ("at", "pending", "entered", "left", "queued")], [7.0, 2, 5, 3, 3])
        self.assertEqual(self.change(pause="again"), (409, "it is paused already: too much"))
        self.assertIsNone(self.change(resume=True)["paused"])
        self.assertEqual(self.change(resume=True)[0], 409)
        told = [OperatorActed("root", f"workqueue {what}") for what in ("pause: too much", "resume")]
        self.assertEqual((self.sink.events, self.told), (told, 2))

    def test_wrong(self) -> None:
        """A reason is needed, short and printable; nothing else may stand beside it."""
        for body in (
            {"pause": ""},
            {"pause": "x" * (LONGEST_REASON + 1)},
            {"pause": "x\x07"},
            {"pause": 1},
            {"pause": "x", "resume": True},
            {"resume": 1.5},
            {},
        ):
            self.assertEqual(self.change(**body)[0], 400, body)
        self.assertEqual((self.sink.events, self.told), ([], 0))

    def test_disk_fails(self) -> None:
        """What can't be written down is in force all the same, and the answer says so."""
        self.path.with_suffix(".new").mkdir()
        self.assertTrue(self.change(pause="x")["not_written"])
        self.assertTrue(self.suspension.now.delivery("a.test"))


class ResolverDouble:
    """A cache with twelve answers."""

    def __len__(self) -> int:
        return 12


class DNSTests(SynchronousTestCase):
    """`DNSRoutes`."""

    def test_status(self) -> None:
        """Counters in three columns, apart from the others; each resolver as it fares."""
        clock, counted, resolver = Clock(), DNSCounters(requests=4, hits=1), ResolverDouble()
        servers = make_servers(["127.0.0.1", "192.0.2.1:5300"], ["127.0.0.0/8"])
        clock.advance(1000)
        traffic = Traffic(EventCounters(lambda: 0.0), RecordingSink(), clock)
        traffic.start(Path(self.mktemp()), lambda: counted)
        self.addCleanup(traffic.stop)
        first, second = servers
        first.answered(990.0)
        second.failed("a.test MX: Timeout", 995.0)
        second.demoted_until = 995.0 + DEMOTION
        using: Any = resolver
        api = DNSRoutes(traffic, lambda: using, lambda: servers, lambda: True, RecordingSink(), clock)
        found: Any = self.successResultOf(Deferred.fromCoroutine(ask(api, "GET", "/v1/dns")))
        for column in ("reset", "uptime", "lifetime"):
            self.assertEqual(found["totals"][column]["requests"], 4)
            self.assertNotIn("messages_received", found["totals"][column])
        self.assertFalse([name for name in traffic.columns().numbers["lifetime"] if name.startswith("dns_")])
        one, other = found["resolvers"]
        self.assertEqual((one["server"], one["answers"], one["last_answer"]), ("127.0.0.1", 1, 990.0))
        self.assertEqual((one["believed"], one["asked_last"]), (True, False))
        self.assertEqual((other["server"], other["failures"]), ("192.0.2.1:5300", 1))
        self.assertEqual((other["believed"], other["trusted"], other["asked_last"]), (False, False, True))
        self.assertEqual((other["last_failure"], other["last_failure_at"]), ("a.test MX: Timeout", 995.0))
        self.assertEqual((found["cached"], found["at"]), (12, 1000.0))
