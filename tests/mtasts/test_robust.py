"""Whatever the DNS, a policy host or a proxy sends: each reader gives a result or its own error, and is linear in the size."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactor, MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.policy.mtasts.entry import CacheFileError, decode_entry
from seg.policy.mtasts.errors import FetchError, FetchFault, PolicyError, RecordError
from seg.policy.mtasts.match import in_policy
from seg.policy.mtasts.policy import MAX_SIZE, parse_policy
from seg.policy.mtasts.proxy import MAX_HEAD, ConnectEndpoint, Proxy
from seg.policy.mtasts.record import read_record, shown
from seg.policy.mtasts.request import get_policy
from seg.policy.mtasts.verified import FetchProgress
from tests.mtasts.keeping import URL
from tests.mtasts.policyserver import response

SOON = 0.005  # seconds: what 64 KiB take at most where nothing is out of proportion
RECORD = 16384  # octets: the most that TLS brings in one piece
GOOD = b"version: STSv1\nmode: enforce\nmx: mx.one.test\nmax_age: 604800\n"

_CUTS = st.lists(st.integers(0, 2000), max_size=6)
_HEADER_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"Content-Type: text/plain\r\n",
                b"Content-Type: text/\xff\r\n",
                b"Content-Length: 5\r\n",
                b"Content-Length: 70000\r\n",
                b"Content-Length: 99999999999999999999\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Transfer-Encoding: x\r\n",
                b"Content-Encoding: gzip\r\n",
                b"Location: \xff\r\n",
                b"Set-Cookie: \xff=\x00; Max-Age=x\r\n",
                b"Connection: close\r\n",
                b" folded\r\n",
                b"\r\n",
                b"5\r\nhello\r\n0\r\n\r\n",
                b"hello",
            ]
        ),
        st.binary(max_size=30),
    ),
    max_size=8,
)
_STATUS_LINES = st.one_of(
    st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 100 \r\n\r\n", b"HTTP/1.1 301 \xff\r\n"]),
    st.binary(max_size=30),
)
_ANSWERS = st.builds(lambda status, lines: status + b"".join(lines), _STATUS_LINES, _HEADER_LINES)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Data as it may arrive: cut anywhere."""
    marks = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(marks)]


class Transport(StringTransport):
    """A connection in memory that can be cut."""

    def abortConnection(self) -> None:
        """Close."""
        self.loseConnection()


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Connects in memory; the test plays the server."""

    def __init__(self, cut: bool = False) -> None:
        self.cut = cut
        self.client: Any = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """At once."""
        self.client = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        self.client.makeConnection(Transport())
        return succeed(self.client)


def read_answer(pieces: list[bytes], reason: Exception, cut: bool = False) -> Deferred[bytes]:
    """What comes of an HTTP answer, when the connection has ended behind it."""
    endpoint: Any = MemoryEndpoint(cut)
    policy = Deferred.fromCoroutine(get_policy(MemoryReactorClock(), endpoint, URL, FetchProgress()))
    for piece in pieces:
        endpoint.client.dataReceived(piece)
    endpoint.client.connectionLost(Failure(reason))
    return policy


def open_tunnel(pieces: list[bytes]) -> Deferred[IProtocol]:
    """What comes of a proxy's answer, when the connection has ended behind it."""
    reactor = MemoryReactor()
    to_proxy = TCP4ClientEndpoint(reactor, "192.0.2.9", 3128)
    endpoint = ConnectEndpoint(to_proxy, Proxy("192.0.2.9", 3128, b"Basic Z2VoZWlt"), "mta-sts.one.test", 443)
    opened = endpoint.connect(Factory.forProtocol(Protocol))
    tunnel = reactor.tcpClients[0][2].buildProtocol(None)
    tunnel.makeConnection(Transport())
    for piece in pieces:
        tunnel.dataReceived(piece)
    tunnel.connectionLost(Failure(ConnectionDone()))
    return opened


class AnyOctetsTests(SynchronousTestCase):
    """Readers of what others send, with anything."""

    def outcome(self, result: Deferred[Any]) -> Any:
        """The result, or the `FetchError`; nothing else, and nothing was logged."""
        found: list[Any] = []
        result.addBoth(found.append)
        self.assertEqual(len(found), 1)
        self.assertEqual(self.flushLoggedErrors(), [])
        if not isinstance(found[0], Failure):
            return found[0]
        self.assertIsInstance(found[0].value, FetchError)
        self.assertTrue(str(found[0].value).isprintable(), str(found[0].value))
        return found[0].value

    @settings(max_examples=300, deadline=None)
    @given(_ANSWERS, _CUTS, st.sampled_from([ConnectionDone(), ConnectionLost()]), st.booleans())
    def test_http(self, answer: bytes, cuts: list[int], reason: Exception, cut: bool) -> None:
        """Any answer of a policy host is a body within the limit, or a `FetchError` of one line."""
        found = self.outcome(read_answer(in_pieces(answer, cuts), reason, cut))
        self.assertTrue(isinstance(found, FetchError) or len(found) <= MAX_SIZE)

    @settings(max_examples=100)
    @given(st.binary(max_size=300), _CUTS)
    def test_http_body(self, text: bytes, cuts: list[int]) -> None:
        """A body comes out as it was put in, however the answer is cut into pieces."""
        self.assertEqual(self.outcome(read_answer(in_pieces(response(text), cuts), ConnectionDone())), text)

    @settings(max_examples=200, deadline=None)
    @given(st.one_of(_ANSWERS, st.binary(max_size=100)), _CUTS)
    def test_proxy(self, answer: bytes, cuts: list[int]) -> None:
        """Any answer of a proxy is a tunnel, or a `FetchError` of one line that names the proxy and no password."""
        found = self.outcome(open_tunnel(in_pieces(answer, cuts)))
        if isinstance(found, FetchError):
            self.assertIs(found.fault, FetchFault.PROXY)
            self.assertIn("proxy http://192.0.2.9:3128 ", found.cause)
            self.assertNotIn("geheim", repr(found))

    @settings(max_examples=100)
    @given(st.binary(max_size=300), _CUTS)
    def test_proxy_in_pieces(self, answer: bytes, cuts: list[int]) -> None:
        """How a proxy's refusal is cut into pieces doesn't matter."""
        answer = b"HTTP/1.1 403 " + answer.replace(b"\n", b"") + b"\r\n\r\n"
        whole = self.outcome(open_tunnel([answer]))
        self.assertEqual(str(self.outcome(open_tunnel(in_pieces(answer, cuts)))), str(whole))

    @settings(max_examples=100)
    @given(st.lists(st.binary(max_size=40), max_size=4))
    def test_shown(self, strings: list[bytes]) -> None:
        """A record is shown in printable ASCII, whatever it holds."""
        text = shown(strings)
        self.assertTrue(text.isascii() and (text.isprintable() or not text))


def policy(data: bytes) -> None:
    """Read a policy."""
    with contextlib.suppress(PolicyError):
        parse_policy(data)


def record(data: bytes) -> None:
    """Read a TXT record, in strings of 255 octets, and show it."""
    strings = [data[start : start + 255] for start in range(0, len(data), 255)]
    shown(strings)
    with contextlib.suppress(RecordError):
        read_record([strings])


def entry(data: bytes) -> None:
    """Read a file of the cache."""
    with contextlib.suppress(CacheFileError):
        decode_entry(data)


def http(data: bytes) -> None:
    """Read an answer, in pieces as TLS brings them."""
    pieces = [data[start : start + RECORD] for start in range(0, len(data), RECORD)]
    read_answer(pieces, ConnectionDone()).addErrback(lambda failure: failure.trap(FetchError))


def proxy(data: bytes) -> None:
    """Read a proxy's answer, octet by octet."""
    pieces = [data[start : start + 1] for start in range(MAX_HEAD)]
    open_tunnel(pieces).addErrback(lambda failure: failure.trap(FetchError))


def names(data: bytes) -> None:
    """Match a host against patterns."""
    text = data.decode("latin-1")
    in_policy(text, (text,))
    in_policy("mx.one.test", text.split("\n"))


@attrs.frozen
class Nasty:
    """A text made of one unit over and over."""

    head: bytes
    unit: bytes
    tail: bytes = b""

    def of(self, size: int) -> bytes:
        """So many octets of it."""
        return self.head + self.unit * ((size - len(self.head) - len(self.tail)) // len(self.unit)) + self.tail


def seconds(reader: Callable[[bytes], None], data: bytes) -> float:
    """CPU time: the shortest of several runs."""
    best = float("inf")
    for _ in range(3):
        begin = time.thread_time()
        reader(data)
        best = min(best, time.thread_time() - begin)
    return best


def linear(reader: Callable[[bytes], None], nasty: Nasty) -> bool:
    """Whether eight times as much takes nowhere near 64 times as long (looked at again if so: the machine may be busy)."""
    for _ in range(5):
        whole = seconds(reader, nasty.of(MAX_SIZE))
        if whole < SOON or whole < 4 * 8 * seconds(reader, nasty.of(MAX_SIZE // 8)):
            return True
    return False


class LinearTests(SynchronousTestCase):
    """Reading takes time in proportion to the size, whatever is read, up to 64 KiB."""

    def compare(self, reader: Callable[[bytes], None], nasty: list[Nasty]) -> None:
        """Measure each."""
        for text in nasty:
            self.assertTrue(linear(reader, text), text)

    def test_policy(self) -> None:
        """Lines, labels, blanks, colons and line ends without end."""
        nasty = [
            Nasty(GOOD + start, unit, tail)
            for start in (b"", b"mx: ", b"x: ", b"max_age: ")
            for unit in (
                b"a-",
                b"a.",
                b"*.",
                b"-",
                b".",
                b": ",
                b" ",
                b"\t",
                b"\n",
                b"\r\n",
                b"a\n",
                b"mx:a\n",
                b"\xc3\xa9",
                b"9",
            )
            for tail in (b"", b"!", b"\r", b"\xff")
        ]
        self.compare(policy, nasty)

    def test_record(self) -> None:
        """Delimiters, blanks and equal signs without end."""
        nasty = [
            Nasty(start, unit, tail)
            for start in (b"v=STSv1;", b"v=STSv1; id=", b"v=STSv1; id=1; a")
            for unit in (b";", b" ", b" ;", b"=", b"a=", b"a=b;", b"id=1;", b"a", b"-", b"\\", b"\xff")
            for tail in (b"", b"!", b"\x00")
        ]
        self.compare(record, nasty)

    def test_entry(self) -> None:
        """Brackets, quotes, escapes and digits without end."""
        nasty = [
            Nasty(start, unit)
            for start in (b"", b'{"policy": "')
            for unit in (b"[", b"{", b'{"a":', b'"', b"\\", b"\\u0041", b"9", b" ")
        ]
        self.compare(entry, nasty)

    def test_http(self) -> None:
        """Status lines, header fields and chunks without end."""
        ok, chunked = b"HTTP/1.1 200 OK\r\n", b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        units = (b"a", b"\r", b"\n", b"\r\n", b" ", b":", b"a:\r\n", b" \r\n", b"A: b\n")
        nasty = [
            *(Nasty(start, unit) for start in (b"", ok, ok + b"A: ") for unit in units),
            Nasty(b"", b"HTTP/1.1 100 \r\n\r\n"),
            Nasty(ok + b"Set-Cookie: a=b", b";a=b"),
            Nasty(ok, b"Set-Cookie: a=b\r\n", b"\r\n"),
            *(Nasty(ok + chunked, unit) for unit in (b"1\r\nx\r\n", b"0", b"1;", b"\r\n", b"f")),
        ]  # fmt: skip
        self.compare(http, nasty)

    def test_proxy(self) -> None:
        """A head without end, octet by octet."""
        nasty = [Nasty(b"HTTP/1.1 200 OK\r\n", unit) for unit in (b"a", b"\r", b"\r\n ", b"a\n", b" ", b"\n\r")]
        self.compare(proxy, nasty)

    def test_names(self) -> None:
        """Labels, dots and wildcards without end."""
        nasty = [
            Nasty(start, unit)
            for start in (b"", b"*.")
            for unit in (b"a", b"a.", b".", b"-", b"*.", b"\n", b"*.\n", b"\xe9")
        ]
        self.compare(names, nasty)
