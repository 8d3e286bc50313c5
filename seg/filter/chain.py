"""Filters in the operator's order; the changes of one are seen by the next."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.config.schema import Filter, WhenAway
from seg.events.base import IEventSink
from seg.events.receive import (
    FilterAnswered,
    FilterAway,
    FilterChangedSender,
    FilterPassedOver,
    FilterRemovedRecipient,
    RecipientAccepted,
)
from seg.filter.answers import Accept, Answer, Change, Discard, Hold, Redirect, Reject, TempFail
from seg.filter.body import BodyError, with_fit_body
from seg.filter.changes import Applied, applied, word
from seg.filter.header import HeaderGrown
from seg.filter.interfaces import IMessageFilter
from seg.filter.message import FilteredMessage
from seg.filter.turns import FilterTurns
from seg.mail.client import client_key
from seg.mail.errors import LocalFault, local_fault
from seg.smtp.reply import Reply

NO_ANSWER: dict[WhenAway, Answer] = {
    WhenAway.TEMPFAIL: TempFail(),
    WhenAway.REJECT: Reject("Message can't be checked"),
}
# A filter's socket that the gateway's user may not use: for an operator to mend, and nobody else can bring it about.
_SOCKET_CLOSED_TO_US = frozenset({errno.EACCES, errno.EPERM})


class FilterFault(Exception):
    """A filter gave no answer that can be used; the text says why in one line. No bug of ours: nothing more is logged."""


@attrs.frozen
class ConfiguredFilter:
    """One filter in its place."""

    settings: Filter
    filter: IMessageFilter
    limit: float | None  # seconds for a whole answer; None: there is none


@attrs.frozen
class Passed:
    """All filters let it go on."""

    message: FilteredMessage
    changed: bool  # header or body aren't what the client sent
    holds: tuple[str, ...]  # who wants it held, and why


@attrs.frozen
class Refused:
    """The client hears this."""

    filter: str
    reply: Reply


@attrs.frozen
class Dropped:
    """The client hears 250, and nothing is kept."""

    filter: str


Verdict = Passed | Refused | Dropped


class FilterChain:
    """The filters of one listener; false when there are none.

    :param clock: for the time limits, and the times in the log.
    """

    log = Logger()

    def __init__(self, filters: Sequence[ConfiguredFilter], sink: IEventSink, clock: IReactorTime) -> None:
        self._filters = tuple(filters)
        self._sink = sink
        self._clock = clock
        self._turns = FilterTurns()

    def __bool__(self) -> bool:
        return bool(self._filters)

    async def judge(self, message: FilteredMessage) -> Verdict:
        """What is to become of the message.

        :raises LocalFault: the gateway itself lacked something: no filter is taken for away because of it, and none is passed by.
        """
        async with self._turns.turn(client_key(message.client.address)):
            return await self._judge(message)

    async def _judge(self, message: FilteredMessage) -> Verdict:
        first, rid = message, len(message.recipients)
        holds: list[str] = []
        for configured in self._filters:
            name, settings = configured.settings.name, configured.settings
            if 0 < settings.max_message_size < message.content.size:
                self._sink.emit(FilterPassedOver(message.mid, name, message.content.size))
                continue
            began = self._clock.seconds()
            answer, after = await self._hear(configured, message, rid, began)
            match answer:
                case Reject() | TempFail():
                    return Refused(name, answer.reply)
                case Discard():
                    return Dropped(name)
                case Hold(reason):
                    holds.append(f"filter {name}: {reason}")
            message, rid = after.message, rid + len(after.added)
            if not message.recipients:
                return Dropped(name)
        changed = message.header != first.header or message.body is not first.body
        return Passed(message, changed, tuple(holds))

    async def _hear(
        self, configured: ConfiguredFilter, message: FilteredMessage, rid: int, began: float
    ) -> tuple[Answer, Applied]:
        """The answer of one filter, with the message that it makes; the answer of its table when it gives none."""
        name, mid = configured.settings.name, message.mid
        try:
            answer = await self._ask(configured, message)
            after = applied(message, answer, rid)
        except CancelledError:
            raise
        except Exception as error:  # third parties' code
            if (ours := local_fault(error, _SOCKET_CLOSED_TO_US)) is not None:
                raise LocalFault(f"filter {name} could not be asked: {ours.text}") from error
            decision = configured.settings.when_away
            seconds = self._clock.seconds() - began
            self._sink.emit(FilterAway(mid, name, self._cause(error, configured), decision.value, seconds))
            answer = NO_ANSWER.get(decision, Accept())
            return answer, Applied(message)
        self._tell(configured, message, answer, after, began)
        return answer, after

    def _ask(self, configured: ConfiguredFilter, message: FilteredMessage) -> Deferred[Answer]:
        """The answer of one filter. Whoever cancels this waits no more, whatever the filter makes of it."""
        gone = False

        async def asked() -> Answer:
            try:
                answer: object = await configured.filter.judge(message)
            except CancelledError as error:
                raise FilterFault("its own work was cancelled") from error
            if not isinstance(answer, Accept | Change | Redirect | Hold | Discard | Reject | TempFail):
                raise FilterFault(f"it answered {answer!r:.100}, which is none of the answers in seg.filter.answers")
            try:
                return await with_fit_body(answer, message)
            except BodyError as error:
                raise FilterFault(str(error)) from error

        def cancel(heard: Deferred[Answer]) -> None:
            nonlocal gone
            gone = True
            asking.cancel()

        heard: Deferred[Answer] = Deferred(cancel)
        asking: Deferred[Answer] = Deferred.fromCoroutine(asked())
        if configured.limit is not None:
            asking.addTimeout(configured.limit, self._clock, _too_late)
        asking.addBoth(lambda result: None if gone else heard.callback(result))
        return heard

    def _cause(self, error: Exception, configured: ConfiguredFilter) -> str:
        if isinstance(error, FilterFault | HeaderGrown):
            return str(error)
        self.log.failure("the filter {name} failed", name=configured.settings.name)
        return f"{type(error).__name__}: {error}"

    def _tell(
        self, configured: ConfiguredFilter, before: FilteredMessage, answer: Answer, after: Applied, began: float
    ) -> None:
        name, mid, emit = configured.settings.name, before.mid, self._sink.emit
        details = after.texts
        if isinstance(answer, Reject | TempFail):
            details = (str(answer.reply),)
        elif isinstance(answer, Hold):
            details = (answer.reason, *details)
        emit(FilterAnswered(mid, name, word(answer), details, self._clock.seconds() - began))
        if after.message.sender.reverse_path != before.sender.reverse_path:
            emit(FilterChangedSender(mid, name, after.message.sender.reverse_path))
        for recipient in after.removed:
            emit(FilterRemovedRecipient(mid, name, recipient.rid, recipient.address))
        for recipient in after.added:
            emit(RecipientAccepted(mid, before.client.icid, recipient.rid, recipient.address))


def _too_late(result: object, limit: float) -> Failure:
    return Failure(FilterFault(f"no answer within {limit:g} s"))
