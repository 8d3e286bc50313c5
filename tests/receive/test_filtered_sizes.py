"""What a filter makes of a message in the real queue: small ones large, large ones small, and what is wrong with the disk meanwhile."""

from __future__ import annotations

import errno
import itertools
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.trial.unittest import SynchronousTestCase

from seg.config.schema import Filter, QueueSettings, WhenAway
from seg.events.receive import FilterAway
from seg.filter.answers import AddField, Change
from seg.filter.chain import ConfiguredFilter, FilterChain, FilterFault, Refused
from seg.filter.interfaces import FilterContext, IMessageFilter
from seg.filter.milter.client import MilterFilter
from seg.mail.errors import LocalFault
from seg.queue.operations import DiscardFile, FinishStreamedMessage, StoreMessage
from seg.receive.filtering import filtered
from seg.receive.transaction import LOCAL_ERROR, STORAGE, ReceiveTransaction, not_stored
from seg.smtp.commands import MailArguments, RcptArguments
from tests.filter.messages import message
from tests.filter.milter_double import MemoryEndpoint, Milter, answer
from tests.filter.test_chain import ChainCase, FilterDouble
from tests.queue.house import NOW, House

SMALL, LARGE = b"small\r\n", b"large, large, large\r\n" * 5000
MEMORY = 1000


class SizeTests(SynchronousTestCase):
    """A message of each size, made one of each size."""

    def setUp(self) -> None:
        self.house = House(self.mktemp(), QueueSettings(memory=MEMORY, jitter=0.0)).start()
        self.in_one_batch()

    def in_one_batch(self) -> None:
        """The end of what is thrown away and the commit are carried out together, as by a busy disk."""
        submit = self.house.commits.submit

        def submitted(change: Any) -> Deferred[None]:
            if isinstance(change, DiscardFile):
                self.house.commits.paused = True
            done = submit(change)
            if isinstance(change, StoreMessage | FinishStreamedMessage):
                self.house.commits.resume()
            return done

        self.house.commits.submit = submitted  # type: ignore[method-assign]

    def milter(self, body: bytes) -> IMessageFilter:
        """A milter that replaces the body."""
        pieces = [body[start : start + 60_000] for start in range(0, len(body), 60_000)]
        frames = b"".join(answer(b"b", piece) for piece in pieces) + answer(b"c")
        context = FilterContext(Filter(name="m", address="unix:/m"), "mx.test", self.house.sink, self.house.clock)
        return MilterFilter(context, MemoryEndpoint(Milter({b"E": [frames]})))

    def judged(self, filter: IMessageFilter, body: bytes) -> bytes:
        """What is in the queue of a message with this body."""
        mid = self.house.counters.next_mid()
        transaction = ReceiveTransaction(mid, MailArguments("a@one.test"), 10)
        transaction.add_recipient("b@two.test", RcptArguments("b@two.test"))
        transaction.begin_content(self.house.queue.begin(mid), b"Received: x\r\n")
        transaction.write(b"Subject: x\r\n\r\n" + body)
        chain = FilterChain([ConfiguredFilter(Filter(name="m"), filter, None)], self.house.sink, self.house.clock)
        judging = Deferred.fromCoroutine(filtered(chain, transaction, message().client, 10_000_000))
        if isinstance(filter, MilterFilter):
            for _ in range(20):
                filter._endpoint.flush()  # type: ignore[attr-defined]
        self.assertEqual(self.successResultOf(judging), ())
        assert transaction.writer is not None
        self.successResultOf(transaction.writer.commit(transaction.envelope(arrived=NOW, icid=1, client="", helo="")))
        lease = self.house.queue.lease("two.test")
        assert lease is not None
        content = self.successResultOf(Deferred.fromCoroutine(lease.content.head(10_000_000)))
        self.assertEqual(lease.envelope.size, len(content))
        self.house.queue.settle(lease, {})
        self.successResultOf(self.house.commands.delete(mid, "test"))
        self.assertEqual(self.house.files(), [])
        return content

    def test_sizes(self) -> None:
        """Small or large before and after, by milter and by plugin: what the filter made is queued, and nothing else stays."""
        for before, after in itertools.product((SMALL, LARGE), repeat=2):
            for filter in (
                self.milter(after),
                FilterDouble(Change(body=after)),
                FilterDouble(Change(body=_Again(after))),
            ):
                stored = self.judged(filter, before)
                self.assertEqual(stored, b"Received: x\r\nSubject: x\r\n\r\n" + after)

    def test_header_only(self) -> None:
        """The same where only the header is changed, of a message that is small with it or large without it."""
        for before, value in itertools.product((SMALL, LARGE), ("1", " ".join(["word"] * 1000))):
            stored = self.judged(FilterDouble(Change(header=[AddField("X-A", value)])), before)
            self.assertTrue(stored.endswith(b"\r\n\r\n" + before))
            self.assertIn(b"\r\nX-A: " + value.encode(), stored)


class _Again:
    """A plugin's content that gives its octets in pieces."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    async def chunks(self) -> Any:
        """Small pieces, cut within line ends too."""
        for start in range(0, self.size, 1013):
            yield self.data[start : start + 1013]

    async def head(self, limit: int) -> bytes:
        """The first octets."""
        return self.data[:limit]


class FaultTests(ChainCase):
    """What is a filter's fault, and what is ours."""

    def test_nul(self) -> None:
        """A NUL in a new body makes the filter one that is away; the log says why, and the message as it was goes on where it may."""
        for body in (b"a\0b\r\n", _Again(b"a\r\n" * 1000 + b"\0")):
            for when, text in ((WhenAway.TEMPFAIL, "451"), (WhenAway.ACCEPT, "")):
                self.setUp()
                verdict = self.judge(Change(header=[AddField("X-A", "1")], body=body), when_away=when)
                (away,) = self.sink.of(FilterAway)
                self.assertEqual((away.name, away.cause), ("f1", "its new body holds a NUL"))
                if isinstance(verdict, Refused):
                    self.assertEqual(str(verdict.reply)[:3], text)
                else:
                    self.assertFalse(verdict.changed)  # type: ignore[union-attr]

    def test_too_large(self) -> None:
        """A plugin's body is bounded as a milter's is, by what a message may have."""
        for body in (b"x" * 1_000_001, _Again(b"x" * 1_000_001)):
            self.setUp()
            self.assertIsInstance(self.judge(Change(body=body)), Refused)
            self.assertEqual(self.sink.of(FilterAway)[0].cause, "its new body is larger than 1000000 octets")

    def test_ours(self) -> None:
        """Descriptors or memory that the gateway lacks are no filter that is away: nothing passes unjudged, whatever `when_away` says."""
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.ENOSPC):
            refused = ConnectError(number, "x")
            fault = FilterFault("can't connect")
            fault.__cause__ = refused
            for error in (OSError(number, "x"), fault):
                self.setUp()
                judging = self.begin(error, when_away=WhenAway.ACCEPT)
                raised = self.failureResultOf(judging, LocalFault)
                self.assertIn("filter f1 could not be asked", raised.value.text)
                self.assertEqual(not_stored(raised.value), STORAGE if error.args[0] == errno.ENOSPC else LOCAL_ERROR)
                self.assertEqual(self.sink.of(FilterAway), [])

    def test_socket_closed_to_us(self) -> None:
        """A milter's socket that the gateway's user may not use is a filter that is away."""
        fault = FilterFault("can't connect: Permission denied")
        fault.__cause__ = ConnectError(errno.EACCES, "x")
        self.judge(fault, when_away=WhenAway.ACCEPT)
        self.assertEqual(len(self.sink.of(FilterAway)), 1)

    def test_replies(self) -> None:
        """Only a full disk is called one."""
        for number, reply in (
            (errno.ENOSPC, STORAGE),
            (errno.EDQUOT, STORAGE),
            (errno.ENOENT, LOCAL_ERROR),
            (errno.EIO, LOCAL_ERROR),
            (errno.EMFILE, LOCAL_ERROR),
        ):
            self.assertEqual(not_stored(OSError(number, "x")), reply)
