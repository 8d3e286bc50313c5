"""What an operator asks for may be as large as the queue: the reactor goes on meanwhile."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import LoopingCall, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from seg.admin.destination_statistics import DestinationStatistics
from seg.admin.destinations import DestinationEntryRoutes
from seg.admin.hosts import DestinationRoutes
from seg.admin.http import AT_ONCE, _send
from seg.admin.turns import PIECE, _pieces, encoded, in_turns
from seg.admin.wire.destinations import ListHosts
from seg.admin.wire.messages import ListedMessage, MessagesAnswer
from seg.admin.wire.route import NoParameters
from seg.config.load import parse_destinations
from seg.queue.interfaces import MessageState

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)
NOTHING: Any = None


class EncodedTests(SynchronousTestCase):
    """What `encoded` is made of."""

    def of(self, value: object) -> Any:
        """What is read from it."""
        return json.loads("".join(_pieces(value)))

    @given(VALUES, st.integers(0, 3 * PIECE))
    def test_any_value(self, value: Any, times: int) -> None:
        """It is the same JSON, wherever long lists and mappings stand in it."""
        for whole in (
            value,
            [value] * times,
            {"a": 1, "b": [value] * times},
            {"x": {str(n): value for n in range(times)}},
            [[value] * times],
        ):
            self.assertEqual(self.of(whole), json.loads(json.dumps(whole)))


class TurnTests(TestCase):
    """With the reactor, and a clock beside it."""

    async def longest(self, work: Any) -> float:
        """Seconds of CPU in the longest stand-still; the best of three runs."""
        best = 9.9
        for _ in range(3):
            turns = [time.thread_time()]
            ticking = LoopingCall(lambda turns=turns: turns.append(time.thread_time()))
            ticking.start(0)
            await Deferred.fromCoroutine(work())
            ticking.stop()
            turns.append(time.thread_time())
            best = min(best, max(later - earlier for earlier, later in pairwise(turns)))
        return best

    async def test_large_answers(self) -> None:
        """100,000 messages made into an answer, 20,000 destinations and 40,000 entries of the configuration: never 50 ms at once."""
        message = ListedMessage(
            mid=1,
            size=1000,
            arrived=1.0,
            sender="a@sender.example",
            domains=("receiver.example",),
            state=MessageState.DUE,
            attempts=1,
            due=0.0,
            error="",
            expires=2.0,
            waiting=3,
            recipients=("b@receiver.example",) * 3,
            causes=(),
        )
        listed = MessagesAnswer(100_000, [message] * 100_000)
        self.assertLess(await self.longest(lambda: encoded(listed)), 0.05)

    async def test_read_slowly(self) -> None:
        """An answer of many megabytes is handed to the transport in pieces, as it is read, and comes whole; nothing is kept of one that
        nobody reads to its end."""
        pieces = await encoded({"messages": [{"mid": number, "sender": "x" * 100} for number in range(50_000)]})
        written: list[int] = []

        class Page(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> int:
                write = request.write
                request.write = lambda data: (written.append(len(data)), write(data))
                request.notifyFinish().addErrback(lambda _: None)
                _send(request, 200, pieces)
                return NOT_DONE_YET

        port = reactor.listenTCP(0, Site(Page()), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        url = f"http://127.0.0.1:{port.getHost().port}/".encode()
        self.assertEqual(await readBody(await agent.request(b"GET", url)), b"".join(pieces) + b"\n")
        self.assertGreater(len(written), 20)
        self.assertLess(max(written), 2 * AT_ONCE)

        class Leaving(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"GET / HTTP/1.0\r\n\r\n")  # type: ignore[attr-defined]

            def dataReceived(self, data: bytes) -> None:
                self.transport.abortConnection()  # type: ignore[attr-defined]

        whole = sum(written)
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Leaving())
        await deferLater(reactor, 0.3)  # type: ignore[arg-type]
        self.assertLess(sum(written) - whole, whole)

    async def test_many_destinations(self) -> None:
        """Strangers choose how many destinations there are."""

        active = {f"d{number}.example": number % 7 for number in range(100_000)}

        class QueueDouble:
            def destinations(self) -> dict[str, int]:
                return active

        class SuspensionDouble:
            class now:
                @staticmethod
                def delivery(domain: str) -> bool:
                    return False

        queue: Any = QueueDouble()
        suspension: Any = SuspensionDouble()
        statistics = DestinationStatistics(reactor.seconds)  # type: ignore[attr-defined]
        api = DestinationRoutes(queue, statistics, suspension, NOTHING, NOTHING, NOTHING, lambda: 1.0)
        found = await Deferred.fromCoroutine(api.hosts(ListHosts(limit=3), "x"))
        self.assertEqual([row.active for row in found.hosts], [6, 6, 6])
        self.assertEqual(found.total, 100_000)
        self.assertLess(await self.longest(lambda: api.hosts(ListHosts(limit=1000), "x")), 0.05)

    async def test_many_entries(self) -> None:
        """So does whoever wrote the configuration."""
        text = "".join(f'[destination."d{n}.example"]\ntls = "required"\n' for n in range(5000))
        destinations = parse_destinations(text)
        api = DestinationEntryRoutes(lambda: destinations, lambda: 1.0)
        self.assertLess(await self.longest(lambda: api.entries(NoParameters(), "x")), 0.05)

    async def test_others_in_between(self) -> None:
        """Long work is cut, and nothing of it is lost."""
        ticks: list[int] = []
        ticking = LoopingCall(ticks.append, 1)
        ticking.start(0)

        def slow() -> Any:
            for number in range(20):
                time.sleep(0.002)
                yield number

        self.assertEqual([number async for number in in_turns(slow())], list(range(20)))
        ticking.stop()
        self.assertGreater(len(ticks), 3)
