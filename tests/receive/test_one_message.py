"""Rule of all content: whatever way it comes into the queue, what goes out is one message, for a strict server and for lenient ones."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.config.schema import Filter
from seg.dsn.alerts import TLSAlerts
from seg.dsn.composer import ReportComposer
from seg.dsn.postmaster_mail import PostmasterMail
from seg.events.runtime import Runtime
from seg.filter.answers import AddField, Answer, Change, ChangeField, Hold, InsertField
from seg.filter.chain import ConfiguredFilter, FilterChain, Refused
from seg.filter.interfaces import FilterContext, IMessageFilter
from seg.filter.message import Client
from seg.filter.milter.client import MilterFilter
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent
from seg.mail.outcome import Bounced, DSNAction
from seg.maildrop.drop_envelope import DropEnvelope
from seg.maildrop.folder import drop
from seg.maildrop.folder_claims import MaildropFolder
from seg.maildrop.pickup import Pickup, PickupRules
from seg.queue.interfaces import IContent
from seg.receive.filtering import filtered
from seg.receive.transaction import ReceiveTransaction
from seg.smtp.commands import MailArguments, RcptArguments
from seg.smtp.dot_stuffing import DotEncoder
from tests.filter.milter_double import MemoryEndpoint, Milter, answer
from tests.filter.test_chain import FilterDouble
from tests.queue.house import NOW, House
from tests.smtp.accepting import TRANSACTION, AcceptingServer

# Octets of which every string has to do with ends of lines and of messages.
TRICKY = st.lists(
    st.sampled_from([b"\r", b"\n", b"\0", b".", b"\r\n", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"a", b": ", b" "]),
    max_size=14,
).map(b"".join)
CUTS = st.lists(st.integers(0, 60), max_size=4)
SECOND = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<victim@x.test>\r\nDATA\r\nsecond\r\n.\r\n"
ORIGINAL = b"Subject: first\r\n\r\ntext\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces."""
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def ends(wire: bytes, line_ends: tuple[bytes, ...], drops_nul: bool) -> list[int]:
    """Behind how many of the octets a server takes the data for ended: one that takes each of these for the end of a line."""
    octets = [(place, bytes([octet])) for place, octet in enumerate(wire) if not (drops_nul and not octet)]
    found, line, start = [], b"", 0
    while start < len(octets):
        pair = b"".join(octet for _, octet in octets[start : start + 2])
        end = next((each for each in line_ends if pair.startswith(each)), b"")
        if end:
            if line.rstrip(b"\r") == b".":
                found.append(octets[start + len(end) - 1][0] + 1)
            line = b""
        else:
            line += octets[start][1]
        start += len(end) or 1
    return found


LINE_ENDS = ((b"\r\n",), (b"\r\n", b"\n"), (b"\r\n", b"\r"), (b"\r\n", b"\r", b"\n"), (b"\n",))
SERVERS = tuple(itertools.product(LINE_ENDS, (False, True)))


@implementer(IContent)
class Pieces:
    """A plugin's own content, in pieces of its own."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self.size = sum(map(len, pieces))

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `IContent.chunks`."""
        for piece in self._pieces:
            yield piece

    async def head(self, limit: int) -> bytes:
        """See `IContent.head`."""
        return b"".join(self._pieces)[:limit]


class EveryWayInTests(SynchronousTestCase):
    """A stranger's octets through every way into the queue."""

    def setUp(self) -> None:
        self.house = House(self.mktemp()).start()
        self.folder = MaildropFolder(Path(self.mktemp()).absolute())
        self.folder.prepare()

    def commit(self, pieces: list[bytes]) -> None:
        """Write a message and put it into the queue."""
        mid = self.house.counters.next_mid()
        writer = self.house.queue.begin(mid)
        for piece in pieces:
            writer.write(piece)
        self.successResultOf(writer.commit(Envelope(mid, "a@one.test", (Recipient(0, "b@two.test"),), NOW)))

    def by_data(self, octets: bytes, places: list[int], normalise: bool = False) -> None:
        """DATA: only the first message counts; what the client sends behind it is another one by every reading."""
        server = AcceptingServer(normalise=normalise)
        for piece in cut(TRANSACTION + octets + b"\r\n.\r\n", places):
            server.feed(piece)
        for content in server.messages[:1]:
            self.commit([content])

    def by_data_normalised(self, octets: bytes, places: list[int]) -> None:
        """DATA where bare line ends are made CRLF."""
        self.by_data(octets, places, normalise=True)

    def by_bdat(self, octets: bytes, places: list[int]) -> None:
        """BDAT, a chunk for each piece."""
        server = AcceptingServer(normalise=True)
        server.feed(TRANSACTION.removesuffix(b"DATA\r\n"))
        for piece in cut(octets, places):
            server.feed(b"BDAT %d\r\n%s" % (len(piece), piece))
        server.feed(b"BDAT 0 LAST\r\n")
        for content in server.messages[:1]:
            self.commit([content])

    def by_filter(self, filter: IMessageFilter) -> None:
        """A filter's answer to a message of someone honest."""
        mid = self.house.counters.next_mid()
        transaction = ReceiveTransaction(mid, MailArguments("a@one.test"), 10)
        transaction.add_recipient("b@two.test", RcptArguments("b@two.test"))
        transaction.begin_content(self.house.queue.begin(mid), b"Received: x\r\n")
        transaction.write(ORIGINAL)
        chain = FilterChain([ConfiguredFilter(Filter(name="m"), filter, None)], self.house.sink, self.house.clock)
        client = Client(1, "relay", ip_address("192.0.2.9"))
        judging = Deferred.fromCoroutine(filtered(chain, transaction, client, 100_000))
        endpoint = getattr(filter, "_endpoint", None)
        if endpoint is not None:
            endpoint.flush()
        verdict = self.successResultOf(judging)
        if isinstance(verdict, Refused):
            transaction.abort()
            return
        assert transaction.writer is not None
        self.successResultOf(transaction.writer.commit(transaction.envelope(arrived=NOW, icid=1, client="", helo="")))

    def by_answer(self, make: Callable[[], Answer]) -> None:
        """An answer, if it can be made at all."""
        try:
            answer = make()
        except ValueError:
            return
        self.by_filter(FilterDouble(answer))

    def by_body(self, octets: bytes, places: list[int]) -> None:
        """A new body in one piece."""
        self.by_answer(lambda: Change(body=octets))

    def by_body_in_pieces(self, octets: bytes, places: list[int]) -> None:
        """A new body of a plugin's own making, of a message that it holds."""
        self.by_answer(lambda: Hold("x", Change(body=Pieces(cut(octets, places)))))

    def by_milter(self, octets: bytes, places: list[int]) -> None:
        """REPLBODY, a frame for each piece, and header edits of the same octets without their NUL."""
        frames = b"".join(answer(b"b", piece) for piece in cut(octets, places))
        value = octets.replace(b"\0", b"")
        frames += answer(b"h", b"X-A\0" + value + b"\0") + answer(b"m", b"\0\0\0\1Subject\0" + value + b"\0")
        frames += answer(b"i", b"\0\0\0\0X-B\0" + value + b"\0") + answer(b"c")
        endpoint = MemoryEndpoint(Milter({b"E": [frames]}))
        context = FilterContext(Filter(name="m", address="unix:/m"), "mx.test", self.house.sink, self.house.clock)
        self.by_filter(MilterFilter(context, endpoint))

    def by_header(self, octets: bytes, places: list[int]) -> None:
        """Header edits."""
        value = octets.decode("utf-8", "surrogateescape")
        self.by_answer(
            lambda: Change(
                header=(
                    AddField("X-A", value),
                    InsertField(0, "X-B", value),
                    ChangeField("Subject", 1, value, spaced=False),
                )
            )
        )

    def by_drop(self, octets: bytes, places: list[int]) -> None:
        """A file of a local user."""
        drop(self.folder.path, DropEnvelope("a@one.test", ("b@two.test",)), cut(octets, places))
        in_thread: Callable[[Callable[[], Any]], Deferred[Any]] = maybeDeferred  # type: ignore[assignment]
        runtime = Runtime(self.house.clock, self.house.sink, "mx.test", in_thread=in_thread)
        rules = PickupRules(100_000, 10)
        pickup = Pickup(runtime, self.folder, self.house.queue, self.house.counters, lambda: rules)
        self.successResultOf(Deferred.fromCoroutine(pickup.begin()))
        pickup.start()
        self.successResultOf(Deferred.fromCoroutine(pickup.stop()))

    def by_report(self, octets: bytes, places: list[int]) -> None:
        """A report that quotes the octets as a message and as a server's reply."""
        text = octets.decode("latin-1")
        composer = ReportComposer("gw.test", "postmaster@gw.test", lambda: 0.0)
        envelope = Envelope(7, "a@two.test", (Recipient(0, "b@x.test", orcpt=f"rfc822;{text}"),), 0.0, len(octets))
        outcome = Bounced(Permanent("5.1.1", text, 550, (text,)), 3, text)
        made = composer.compose(DSNAction.FAILED, envelope, [(0, outcome)], octets, 8)
        assert made is not None
        self.commit([made[1]])

    def by_alert(self, octets: bytes, places: list[int]) -> None:
        """An alert on a failure that the octets describe."""
        in_thread: Callable[[Callable[[], Any]], Deferred[Any]] = maybeDeferred  # type: ignore[assignment]
        runtime = Runtime(
            self.house.clock, self.house.sink, "gw.test", "postmaster@two.test", in_thread=in_thread, posix=lambda: NOW
        )
        mail = PostmasterMail(self.house.queue, self.house.counters, runtime)
        alerts = TLSAlerts(mail, self.house.sink, lambda: NOW)
        alerts.failed("x.test", octets.decode("latin-1"), octets.decode("latin-1"))

    def sent(self) -> list[bytes]:
        """What goes out for all that is in the queue: the octets behind DATA."""
        found = []
        while (lease := self.house.queue.lease("two.test")) is not None:
            encoder = DotEncoder()
            pieces: list[bytes] = []

            async def read(content: IContent = lease.content, pieces: list[bytes] = pieces) -> None:
                pieces.extend([piece async for piece in content.chunks()])

            self.successResultOf(Deferred.fromCoroutine(read()))
            found.append((b"".join(pieces), b"".join(map(encoder.feed, pieces)) + encoder.finish()))
            self.house.queue.settle(lease, {})
            self.house.commands.delete(lease.mid, "test")
        for content, _ in found:
            self.assertNotIn(b"\0", content)
            bare = content.replace(b"\r\n", b"")
            self.assertFalse(b"\r" in bare or b"\n" in bare, content)
        return [wire for _, wire in found]

    def ways(self) -> tuple[Callable[[bytes, list[int]], None], ...]:
        """All of them."""
        return (
            self.by_data,
            self.by_data_normalised,
            self.by_bdat,
            self.by_body,
            self.by_body_in_pieces,
            self.by_milter,
            self.by_header,
            self.by_drop,
            self.by_report,
            self.by_alert,
        )

    def check(self, octets: bytes, places: list[int]) -> None:
        """Each way in: nothing, or one message by every reading."""
        for way in self.ways():
            way(octets, places)
            sent = self.sent()
            self.assertLessEqual(len(sent), 1, way.__name__)
            for wire in sent:
                for server in SERVERS:
                    self.assertEqual(ends(wire, *server), [len(wire)], (way.__name__, server, wire))

    @given(TRICKY, CUTS)
    @example(b"x\n.\n" + SECOND, [])
    @example(b"x\r\n.\n" + SECOND, [])
    @example(b"x\n.\r\n" + SECOND, [])
    @example(b"x\r.\r" + SECOND, [])
    @example(b"x\r\n\0.\r\n" + SECOND, [])
    @example(b"x\r\n.\0\r\n" + SECOND, [])
    @example(b"x\r\n.\r\n" + SECOND, [2, 3, 4])
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def test_one_message(self, octets: bytes, places: list[int]) -> None:
        """LF.LF, CR.CR, CRLF.LF, LF.CRLF, with NULs between, in whatever cuts."""
        self.check(octets, places)

    def test_every_way_leads_in(self) -> None:
        """Honest octets come in on each way, so that the test above tests something."""
        for way in self.ways():
            way(b"Subject: a\r\n\r\n.b\r\n..\r\n", [3, 9])
            self.assertEqual(len(self.sent()), 1, way.__name__)

    def test_line_ends_of_a_filter(self) -> None:
        """Milters on Unix hand in LF: lines are made CRLF lines, over cuts between CR and LF, and nothing else is altered."""
        for pieces, stored in [
            ([b"one\ntwo\n"], b"one\r\ntwo\r\n"),
            ([b"one\r", b"\ntwo\r", b"three"], b"one\r\ntwo\r\nthree"),
            ([b"one\r", b"\r\n", b"\n"], b"one\r\n\r\n\r\n"),
            ([b"last\r"], b"last\r\n"),
        ]:
            self.by_filter(FilterDouble(Change(body=Pieces(pieces))))
            lease = self.house.queue.lease("two.test")
            assert lease is not None
            whole = self.successResultOf(Deferred.fromCoroutine(lease.content.head(1000)))
            self.assertEqual(whole, b"Received: x\r\nSubject: first\r\n\r\n" + stored)
            self.house.queue.settle(lease, {})
            self.house.commands.delete(lease.mid, "test")

    def test_dots_of_old_files(self) -> None:
        """A spool file of an older version, or edited by hand, is one message on the wire too: the second line of defence."""
        for octets in (
            b"a\n.\nb",
            b"a\r.\rb",
            b"a\r\n.\nb",
            b"a\n.\r\nb",
            b"a\r\n\0.\r\nb",
            b"a\r\n.\0\r\n",
            b"\n.\r\n",
            b"\0.\n",
            b"a\r",
        ):
            for places in ([], [1], [2], [3], [4], [2, 3], [3, 4, 5]):
                encoder = DotEncoder()
                wire = b"".join(map(encoder.feed, cut(octets, places))) + encoder.finish()
                for server in SERVERS:
                    self.assertEqual(ends(wire, *server), [len(wire)], (octets, places, server))
