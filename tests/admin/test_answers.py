"""What the API answers of a real queue is as its description says (`tests.admin.asking.ask` holds each answer to it)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from seg.admin.clients import ClientRoutes
from seg.admin.destination_statistics import DestinationStatistics
from seg.admin.destinations import DestinationEntryRoutes
from seg.admin.dialogues import DialogueRoutes
from seg.admin.hosts import DestinationRoutes
from seg.admin.http import APIError
from seg.admin.messages import MessageRoutes
from seg.admin.suspension import Suspension
from seg.admin.suspension_routes import SuspensionRoutes
from seg.config.load import parse_destinations
from seg.deliver.debug_peers import DebugPeers
from seg.mail.causes import CauseKind
from seg.mail.envelope import HostRefusal
from seg.mail.errors import Temporary
from seg.mail.outcome import Delayed
from tests.admin.asking import Routes, ask
from tests.doubles import RecordingSink
from tests.queue.house import HouseCase

REFUSED = Delayed(Temporary("4.7.5", "no"), refusals=(HostRefusal("mx.a.example", CauseKind.TLSA_NO_MATCH),))
DESTINATIONS = """\
[destination."a.example"]
tls = "required"
exemption = { until = 2100-01-01, reason = "old server" }

[route."b.example"]
hosts = ["10.0.0.1", { host = "10.0.0.2", port = 2525, preference = 5 }]
"""


class AnswerTests(HouseCase):
    """A queue with two messages, and the parts that answer for it."""

    def setUp(self) -> None:
        super().setUp()
        self.mid = self.house.put("u@a.example", "v@a.example")
        self.house.put("w@b.example")
        self.house.attempt("a.example", REFUSED)
        self.sink = RecordingSink()
        self.suspension = Suspension(Path(self.mktemp()), ["relay"], self.sink, Clock())
        self.destinations = parse_destinations(DESTINATIONS)

    def ask(self, part: Routes, method: str, path: str, **given: Any) -> Any:
        """What a client gets."""
        query, body = (given, None) if method == "GET" else (None, given)
        answer = Deferred.fromCoroutine(ask(part, method, path, query, body))
        self.house.clock.advance(0)  # others get their turn
        return self.successResultOf(answer)

    def test_messages(self) -> None:
        """Listed, shown, read and acted on."""
        routes = MessageRoutes(self.house.commands)
        listed = self.ask(routes, "GET", "/v1/messages", limit="1")
        self.assertEqual((listed["total"], [m["mid"] for m in listed["messages"]]), (2, [self.mid]))
        self.assertEqual(listed["messages"][0]["causes"], ["tlsa-no-match"])
        shown = self.ask(routes, "GET", f"/v1/messages/{self.mid}")
        self.assertEqual([r["policy"]["refusals"][0]["host"] for r in shown["recipients"]], ["mx.a.example"] * 2)
        read = self.ask(routes, "GET", f"/v1/messages/{self.mid}/content", offset="9", limit="1")
        self.assertEqual(base64.b64decode(read["data"]), b"x")
        done = self.ask(routes, "POST", "/v1/messages", action="hold", mids=[self.mid, 99])
        self.assertEqual((done["done"], [*done["refused"]]), ([self.mid], ["99"]))

    def test_destinations(self) -> None:
        """How they fare, why one waits, and what the configuration says of them."""
        resolver, clock = mock.MagicMock(), self.house.clock
        answer = mock.MagicMock(
            records=[mock.MagicMock(preference=10, exchange="mx.a.example.")], secure=True, ttl=60.0
        )
        resolver.query.return_value = succeed(answer)
        statistics = DestinationStatistics(clock.seconds)
        routes = DestinationRoutes(
            self.house.commands,
            statistics,
            self.suspension,
            lambda domain: "",
            lambda: self.destinations,
            lambda: resolver,
            clock.seconds,
        )
        self.assertEqual(self.ask(routes, "GET", "/v1/hosts", sort="conn_out")["total"], 2)
        self.assertEqual(self.ask(routes, "GET", "/v1/host", domain="a.example")["mx"]["records"][0]["preference"], 10)
        (place,) = self.ask(routes, "GET", f"/v1/messages/{self.mid}/why")["destinations"]
        self.assertEqual((place["domain"], place["entry"], len(place["recipients"])), ("a.example", "a.example", 2))
        entries = DestinationEntryRoutes(lambda: self.destinations, clock.seconds)
        found = self.ask(entries, "GET", "/v1/destinations")
        self.assertEqual([entry["domain"] for entry in found["destinations"]], ["a.example", "Default"])
        self.assertTrue(found["destinations"][0]["exemption"]["in_force"])
        route = self.ask(entries, "GET", "/v1/destination", domain="b.example")["route"]
        self.assertEqual([hop["port"] for hop in route["hosts"]], [25, 2525])

    def test_others(self) -> None:
        """Clients, what is suspended, and dialogues."""
        clients = ClientRoutes(lambda: [("relay", "192.0.2.1", 2)], lambda: 1.0)
        self.assertEqual(self.ask(clients, "GET", "/v1/clients")["clients"][0]["connections"], 2)
        suspending = SuspensionRoutes(self.suspension, lambda: ("relay",), self.sink)
        found = self.ask(suspending, "POST", "/v1/suspension", suspend=["a.example"], suspend_listeners=["ALL"])
        self.assertEqual((found["domains"], found["listeners"]), (["a.example"], ["relay"]))
        self.assertEqual(self.ask(suspending, "GET", "/v1/suspension"), found)
        unknown = ask(suspending, "POST", "/v1/suspension", None, {"resume_listeners": ["x"]})
        self.assertEqual(self.failureResultOf(Deferred.fromCoroutine(unknown), APIError).value.status, 404)
        dialogues = DialogueRoutes(DebugPeers(), self.sink)
        self.assertEqual(self.ask(dialogues, "POST", "/v1/debug", domain="A.example")["domains"], {"a.example": 1})
