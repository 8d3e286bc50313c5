"""What a client was refused is told of so many times a connection, and then in one line: a stranger doesn't fill the log."""

from __future__ import annotations

from seg.events.base import IEventSink
from seg.events.receive import (
    AuthFailed,
    BadCommand,
    ReceiveFailed,
    RecipientRefused,
    RefusalsUntold,
    SenderRefused,
    UnknownCommand,
)

MOST_TOLD = 20

Refusal = RecipientRefused | SenderRefused | AuthFailed | BadCommand | UnknownCommand | ReceiveFailed


class Refusals:
    """Those of one connection."""

    def __init__(self, sink: IEventSink, icid: int) -> None:
        self._sink = sink
        self._icid = icid
        self._told = 0
        self._untold = 0
        self._recipients = 0  # among those untold
        self._logins = 0

    def emit(self, event: Refusal) -> None:
        """Tell of one more, or count it only."""
        if self._told < MOST_TOLD:
            self._told += 1
            self._sink.emit(event)
            return
        self._untold += 1
        self._recipients += isinstance(event, RecipientRefused)
        self._logins += isinstance(event, AuthFailed)

    def finish(self) -> None:
        """The connection is over: say how many more there were."""
        if self._untold:
            self._sink.emit(RefusalsUntold(self._icid, self._untold, self._recipients, self._logins))
            self._untold = self._recipients = self._logins = 0
