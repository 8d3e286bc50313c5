"""The end of a message on its way in: from the last octet of its content to the reply, or to its being forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seg.common.clock import posix
from seg.events.gateway import Fault
from seg.events.queue import MessageFinished, MessageHeld
from seg.events.receive import MessageAborted, MessageQueued, MessageReceived, ReceiveFailed
from seg.filter.chain import Dropped, FilterChain, Refused
from seg.filter.message import Client
from seg.receive.context import ListenerContext
from seg.receive.filtering import filtering
from seg.receive.refusals import Refusals
from seg.receive.transaction import LOCAL_ERROR, ReceiveTransaction, not_stored
from seg.smtp.reply import Reply
from seg.smtp.server import ServerConnection

NOT_OWN_HEADER = Reply.of(553, "5.7.1", "From address in the header is not that of the authenticated user")


class EndOfData:
    """The part of a session that brings its transaction, if there is one, to an end.

    :param on_answer: called when the answer to a whole message was given.
    """

    def __init__(
        self, context: ListenerContext, core: ServerConnection, icid: int, on_answer: Callable[[], None]
    ) -> None:
        self.injected = 0  # messages accepted
        self.transaction: ReceiveTransaction | None = None
        self._context = context
        self._sink = context.sink
        self._core = core
        self._icid = icid
        self._refusals = Refusals(context.sink, icid)
        self._on_answer = on_answer
        self._working = False  # the transaction is in the work queue
        self._filtering: Any = None  # the Deferred of the filters' word

    @property
    def filtering(self) -> bool:
        """Whether filters judge a message just now: it may still be dropped."""
        return self._filtering is not None

    def conclude(self, client: Client) -> None:
        """The content is whole: take responsibility for the message, or refuse it."""
        transaction = self.transaction
        assert transaction is not None
        transaction.end_content()
        if transaction.failure is not None or transaction.writer is None:
            self._core.refuse(transaction.failure or LOCAL_ERROR)
            self.fail(transaction.cause)
            return
        if client.user and (objection := self._objection_to_header(transaction, client.user)):
            self._core.refuse(NOT_OWN_HEADER)
            self.fail(objection)
            return
        self._working = True
        self._context.work.entered += 1
        if self._context.filters is None:
            self._commit(transaction, client, ())
        else:
            self._ask_filters(self._context.filters, transaction, client)

    def _objection_to_header(self, transaction: ReceiveTransaction, user: str) -> str:
        """Why what the header says of the sender isn't for this user to say; "" when it is."""
        rules, header = self._context.senders, transaction.header
        if not rules.check_header:
            return ""
        return rules.objection(user, header.text) or ("The header is too long to be checked" if header.cut else "")

    def _ask_filters(self, filters: FilterChain, transaction: ReceiveTransaction, client: Client) -> None:
        self._filtering = filtering(filters, transaction, client, self._core.options.max_message_size)
        self._filtering.addCallbacks(
            self._judged, self._not_judged, callbackArgs=(transaction, client), errbackArgs=(transaction,)
        )

    def _judged(
        self, verdict: Refused | Dropped | tuple[str, ...], transaction: ReceiveTransaction, client: Client
    ) -> None:
        """The filters' word, unless it comes too late."""
        self._filtering = None
        if self.transaction is not transaction:
            transaction.abort()
        elif isinstance(verdict, Refused):
            self._core.refuse(verdict.reply)
            self.drop(f"Refused by filter {verdict.filter}" if verdict.filter else verdict.reply.message)
            self._on_answer()
        elif isinstance(verdict, Dropped):
            self.drop(f"Dropped by filter {verdict.filter}")
            self._accept(transaction)
        else:
            self._commit(transaction, client, verdict)

    def _not_judged(self, failure: Any, transaction: ReceiveTransaction) -> None:
        self._filtering = None
        if self.transaction is transaction:  # else it was dropped, and the filters were told to stop
            self._not_durable(failure.value, transaction)

    def _commit(self, transaction: ReceiveTransaction, client: Client, holds: tuple[str, ...]) -> None:
        """Make it durable.

        :param holds: who wants it held, and why.
        """
        assert transaction.writer is not None
        try:
            envelope = transaction.envelope(
                arrived=posix(self._context.clock),
                icid=self._icid,
                client=str(client.address),
                helo=client.helo,
                holds=holds,
                submitter=client.user,
                bounce_profile=self._context.bounce_profile,
            )
            durable = transaction.writer.commit(envelope)
        except MemoryError as error:
            self._not_durable(error, transaction)
            return
        durable.addCallbacks(
            self._durable, self._commit_failed, callbackArgs=(transaction, holds), errbackArgs=(transaction,)
        )

    def _durable(self, _: None, transaction: ReceiveTransaction, holds: tuple[str, ...]) -> None:
        """The message is ours now, even if the client has gone meanwhile."""
        header, emit = transaction.header, self._sink.emit
        sender, size = transaction.arguments.reverse_path, transaction.size
        message_id, subject = header.field(b"message-id:"), header.field(b"subject:")
        emit(MessageReceived(transaction.mid, self._icid, sender, size, message_id, subject))
        emit(MessageQueued(transaction.mid))
        for by in holds:
            emit(MessageHeld(transaction.mid, by))
        self.transaction = None
        self._leave_work()
        self._accept(transaction)

    def _leave_work(self) -> None:
        if self._working:
            self._working = False
            self._context.work.left += 1

    def _accept(self, transaction: ReceiveTransaction) -> None:
        """Say that the message is ours, be it queued or discarded."""
        self.injected += 1
        # The form in which most servers tell the id: libraries and log tools of clients find it by that.
        self._core.accept(Reply.of(250, "2.0.0", f"Ok: queued as {transaction.mid}"))
        self._on_answer()

    def _commit_failed(self, failure: Any, transaction: ReceiveTransaction) -> None:
        self._not_durable(failure.value, transaction)

    def _not_durable(self, error: BaseException, transaction: ReceiveTransaction) -> None:
        reply = not_stored(error)
        what = "Cannot write to the queue" if isinstance(error, OSError) else "Cannot queue"
        cause = f"{what}: {str(error) or 'out of memory'}"
        self._sink.emit(Fault(f"MID {transaction.mid}: {cause}"))
        self._core.refuse(reply)
        self.fail(cause)
        self._on_answer()

    def fail(self, cause: str) -> None:
        """A limit or rule ends the transaction."""
        self._refusals.emit(ReceiveFailed(self._icid, cause))
        self.drop("Receiving aborted")

    def drop(self, text: str) -> None:
        """Forget the transaction, if there is one."""
        transaction, self.transaction = self.transaction, None
        judging, self._filtering = self._filtering, None
        self._leave_work()
        if judging is not None:
            judging.cancel()
        if transaction is not None:
            transaction.abort()
            self._sink.emit(MessageAborted(transaction.mid, self._icid, text))
            self._sink.emit(MessageFinished(transaction.mid, aborted=True))

    def report(self, text: str) -> None:
        """A limit or rule ended something."""
        self._sink.emit(ReceiveFailed(self._icid, text))
