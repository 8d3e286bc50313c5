"""The Twisted adapter: frames over a stream, with a time limit for each wait."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from twisted.internet.defer import Deferred, TimeoutError, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.filter.milter.wire import FrameReader, MilterError

T = TypeVar("T")

FAREWELL = 5.0  # seconds for the last frames to get through before the connection is cut
MOST_WAITING = 64  # frames that nobody has asked for yet, before the milter isn't read any more
AT_ONCE = (
    100  # frames sent or taken in a turn of the reactor: a milter that answers in advance must not keep others waiting
)


@implementer(IPushProducer)
class MilterConnection(Protocol):
    """A `seg.filter.milter.session.IMilterTransport`. One waits at a time: `send` or `receive`."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._reader = FrameReader()
        self._frames: deque[tuple[bytes, bytes]] = deque()
        self._wanted: Deferred[tuple[bytes, bytes]] | None = None
        self._room: Deferred[None] | None = None  # fires when the milter has read what was sent
        self._error: MilterError | None = None  # nothing more can be said or heard
        self._over = False  # closed by either side
        self._cut: IDelayedCall | None = None
        self._at_once = 0  # frames sent and taken since others had their turn

    # --- what a conversation uses

    def send(self, frames: bytes, timeout: float) -> Deferred[None]:
        """See `IWire.send`."""
        if self._error is not None:
            return fail(self._error)
        assert self.transport is not None
        self.transport.write(frames)
        if self._room is None:
            return self._in_turn(None)
        return self._limited(self._room, timeout, "it doesn't read what it is told")

    def receive(self, timeout: float) -> Deferred[tuple[bytes, bytes]]:
        """See `IWire.receive`."""
        if self._frames:
            found = self._frames.popleft()
            if len(self._frames) == MOST_WAITING - 1 and self.transport is not None:
                self.transport.resumeProducing()  # type: ignore[attr-defined]
            return self._in_turn(found)
        if self._error is not None:
            return fail(self._error)
        self._wanted = Deferred()
        return self._limited(self._wanted, timeout, "it doesn't answer")

    def close(self, frames: bytes = b"") -> None:
        """Say a last word and close; cut the connection if that can't be done soon."""
        if self._over or self.transport is None:
            return
        self._over, self._error = True, MilterError("the conversation is over")
        self.transport.unregisterProducer()  # type: ignore[attr-defined]
        self.transport.write(frames)
        self._cut = self._clock.callLater(FAREWELL, self.transport.abortConnection)  # type: ignore[attr-defined]
        self.transport.loseConnection()

    # --- what Twisted calls

    def connectionMade(self) -> None:
        """Hear of it when the milter doesn't read."""
        assert self.transport is not None
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        """Octets from the milter."""
        try:
            self._frames.extend(self._reader.feed(data))
        except MilterError as error:
            self._error = self._error or error
        if len(self._frames) >= MOST_WAITING and self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]
        if self._wanted is not None and self._frames:
            wanted, self._wanted = self._wanted, None
            if not wanted.called:
                wanted.callback(self._frames.popleft())
        elif self._error is not None:
            self._fail(self._error)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has closed."""
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        self._over = True
        self._fail(MilterError("it closed the connection"))

    def pauseProducing(self) -> None:
        """The milter doesn't read."""
        if self._room is None:
            self._room = Deferred()

    def resumeProducing(self) -> None:
        """It reads again."""
        room, self._room = self._room, None
        if room is not None and not room.called:
            room.callback(None)

    def stopProducing(self) -> None:
        """The connection is lost; `connectionLost` follows."""

    # --- inside

    def _in_turn(self, result: T) -> Deferred[T]:
        """Fires with the result at once, but now and then only when others have had their turn."""
        self._at_once += 1
        if self._at_once < AT_ONCE:
            return succeed(result)
        self._at_once = 0
        return deferLater(self._clock, 0, lambda: result)

    def _fail(self, error: MilterError) -> None:
        """Nothing more will come."""
        self._error = self._error or error
        wanted, self._wanted = self._wanted, None
        room, self._room = self._room, None
        for waiting in (wanted, room):
            if waiting is not None and not waiting.called:
                waiting.errback(error)

    def _limited(self, waiting: Deferred[T], timeout: float, what: str) -> Deferred[T]:
        def too_late(failure: Failure) -> T:
            failure.trap(TimeoutError)
            raise MilterError(f"{what} within {timeout:g} s")

        return waiting.addTimeout(timeout, self._clock).addErrback(too_late)
