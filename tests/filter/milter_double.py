"""A milter that keeps what it was told and answers as its test says; in memory, at a socket, or as a process of its own::

python -m tests.filter.milter_double /path/of/socket
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.test import iosim
from zope.interface import implementer

from seg.filter.milter.options import OUR_ACTIONS, Actions, Steps
from seg.filter.milter.wire import FrameReader

CONTINUE = b"c"


def answer(what: bytes, data: bytes = b"") -> bytes:
    """One frame to the gateway."""
    return (len(data) + 1).to_bytes(4, "big") + what + data


class MilterDouble(Protocol):
    """One connection."""

    def __init__(self, house: Milter) -> None:
        self._house = house
        self._reader = FrameReader()

    def dataReceived(self, data: bytes) -> None:
        """Answer each frame."""
        for what, body in self._reader.feed(data):
            self._house.heard.append((what, body))
            if what in self._house.deaf:
                return
            reply = self._house.reply(what)
            assert self.transport is not None
            if reply is None:
                self.transport.loseConnection()
            else:
                self.transport.write(reply)


class Milter(Factory):
    """What all its connections share.

    :ivar heard: (command, data) in order.
    :ivar replies: for a command what is sent, octet by octet; for each time one, the last one again and again. None: it hangs up.
    :ivar deaf: commands that get no answer at all.
    """

    noisy = False

    def __init__(
        self,
        replies: Mapping[bytes, Sequence[bytes | None]] | None = None,
        actions: Actions = OUR_ACTIONS,
        steps: int = 0,
        version: int = 6,
        macros: bytes = b"",
    ) -> None:
        self.heard: list[tuple[bytes, bytes]] = []
        self.deaf: set[bytes] = set()
        self._replies = {what: list(found) for what, found in (replies or {}).items()}
        self._steps = Steps(steps)
        numbers = b"".join(number.to_bytes(4, "big") for number in (version, actions, steps))
        self._replies.setdefault(b"O", [answer(b"O", numbers + macros)])

    def buildProtocol(self, addr: object) -> MilterDouble:
        """A connection."""
        return MilterDouble(self)

    def reply(self, what: bytes) -> bytes | None:
        """What is said to a command."""
        if what in (b"D", b"A", b"Q"):
            return b""
        found = self._replies.get(what)
        if found is None:
            return b"" if self._silent(what) else answer(CONTINUE)
        return found.pop(0) if len(found) > 1 else found[0]

    def _silent(self, what: bytes) -> bool:
        flags = {
            b"C": Steps.SILENT_CONNECT,
            b"H": Steps.SILENT_HELO,
            b"M": Steps.SILENT_MAIL,
            b"R": Steps.SILENT_RCPT,
            b"T": Steps.SILENT_DATA,
            b"L": Steps.SILENT_HEADER,
            b"N": Steps.SILENT_END_OF_HEADER,
            b"B": Steps.SILENT_BODY,
        }
        return bool(self._steps & flags.get(what, Steps(0)))

    @property
    def commands(self) -> str:
        """The commands heard, macros left out."""
        return b"".join(what for what, _ in self.heard if what != b"D").decode()

    def macros(self, command: bytes) -> dict[str, str]:
        """The macros told with a command."""
        for what, data in self.heard:
            if what == b"D" and data[:1] == command:
                words = data[1:].decode().split("\0")[:-1]
                return dict(zip(words[::2], words[1::2], strict=True))
        return {}

    def data(self, command: bytes) -> list[bytes]:
        """The data of each frame of a command."""
        return [data for what, data in self.heard if what == command]


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Connects to a milter in memory; `flush` carries octets to and fro. Or fails, or never ends."""

    def __init__(self, milter: Milter, error: Exception | None = None, never: bool = False) -> None:
        self._milter = milter
        self._error = error
        self._never = never
        self.pump: iosim.IOPump | None = None

    def connect(self, factory: Factory) -> Deferred[Protocol]:
        """Connect at once."""
        if self._error is not None:
            return fail(self._error)
        if self._never:
            return Deferred()
        client, server = factory.buildProtocol(None), self._milter.buildProtocol(None)
        self.pump = iosim.connect(server, iosim.FakeTransport(server, True), client, iosim.FakeTransport(client, False))
        return succeed(client)

    def flush(self) -> None:
        """Until nobody has anything to say."""
        if self.pump is not None:
            self.pump.flush()
