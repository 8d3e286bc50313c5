"""What is decided while a client hands in messages: who may send to whom, and when a message is ours."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from seg import events
from seg.config.schema import Access, SenderGroup
from seg.filter.chain import Dropped, FilterChain, Refused
from seg.filter.message import Client, SessionTLS
from seg.model import IPAddress
from seg.receive.access import Admission
from seg.receive.filtering import filtered
from seg.receive.house import House
from seg.receive.recipients import RELAYING_DENIED
from seg.receive.trace import received_field
from seg.receive.transaction import STORAGE, Transaction
from seg.smtp import server_events as told
from seg.smtp.commands import RcptArguments
from seg.smtp.server import ServerConnection
from seg.smtp.server_replies import STARTTLS_FIRST, Reply

NOBODY = Admission(SenderGroup(name="", access=Access.REJECT), "")
TOO_MANY_MESSAGES = Reply(452, "4.5.3", "Too many messages on this connection")
TOO_MANY_THIS_HOUR = Reply(452, "4.7.1", "Too many recipients received this hour")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
LOCAL_ERROR = Reply(451, "4.3.0", "Local error in processing")


class Intake:
    """Answers what the core of one session asks, and tells the sink what happens.

    :param on_answer: called when the answer to a whole message was given.
    """

    def __init__(
        self,
        house: House,
        core: ServerConnection,
        icid: int,
        address: IPAddress,
        on_answer: Callable[[], None],
    ) -> None:
        self.injected = 0  # messages accepted
        self._house = house
        self._core = core
        self._icid = icid
        self.address = address
        self.admission = NOBODY  # until the host access table has been looked at
        self.client_name = ""  # by verified reverse lookup
        self.tls: SessionTLS | None = None
        self._on_answer = on_answer
        self._transaction: Transaction | None = None
        self._filtering: Deferred[Refused | Dropped | tuple[str, ...]] | None = None

    @property
    def filtering(self) -> bool:
        """Whether filters judge a message just now: it may still be dropped."""
        return self._filtering is not None

    @property
    def octets(self) -> int:
        """How much of a message has been stored so far."""
        return self._transaction.size if self._transaction is not None else 0

    def react(self, event: told.ServerEvent) -> None:
        """Answer, or take note of, what the core tells."""
        match event:
            case told.ContentReceived(data):
                if self._transaction is not None:
                    self._transaction.write(data)
            case told.MailGiven():
                self._begin(event)
            case told.RecipientGiven(arguments):
                self._add_recipient(arguments)
            case told.DataStarted():
                self._begin_content()
            case told.ContentEnded():
                self._take_responsibility()
            case told.ContentRefused(reply):
                self._fail(reply.text)
            case told.MailTooLarge():
                self.report("Message size exceeds limit")
            case told.TransactionDropped():
                self.drop("Receiving aborted by sender")
            case told.CommandUnknown(line):
                self._house.sink.emit(events.UnknownCommand(self._icid, line))
            case told.CommandRefused(line, reply):
                self._house.sink.emit(events.BadCommand(self._icid, line, str(reply)))
            case told.SessionEnded(cause):
                if cause:
                    self.report(cause)
                self.drop("Receiving aborted" if cause else "Receiving aborted by sender")

    def _begin(self, event: told.MailGiven) -> None:
        house, group = self._house, self.admission.group
        if group.tls_required and not self._core.tls:
            self._core.refuse(STARTTLS_FIRST)
            return
        if 0 < group.max_messages <= self.injected:
            self._core.refuse(TOO_MANY_MESSAGES)
            return
        transaction = Transaction(house.counters.next_mid(), event.arguments, house.settings.max_received_hops)
        self._transaction = transaction
        house.sink.emit(events.MessageStarted(transaction.mid, self._icid, event.arguments.reverse_path))
        self._core.accept()

    def _add_recipient(self, arguments: RcptArguments) -> None:
        transaction, sink, address = self._transaction, self._house.sink, arguments.address
        assert transaction is not None  # the core asks for recipients only behind MAIL
        refusal = self._objection(address, len(transaction.recipients))
        if refusal is not None:
            sink.emit(events.RecipientRefused(transaction.mid, self._icid, address, str(refusal)))
            self._core.refuse(refusal)
            return
        if address.lower() == "postmaster":  # RFC 5321 §4.5.1
            address = self._house.postmaster
        sink.emit(events.RecipientAccepted(transaction.mid, self._icid, len(transaction.recipients), address))
        transaction.add_recipient(address, arguments)
        self._core.accept()

    def _objection(self, address: str, recipients: int) -> Reply | None:
        """Why a recipient isn't accepted, or None when it is, and counted."""
        admission, house = self.admission, self._house
        if not admission.may_relay:
            if admission.group.access is not Access.ACCEPT:
                return RELAYING_DENIED
            objection = house.recipients.objection(address)
            if objection is not None:
                return objection
        if recipients >= (admission.group.max_recipients or house.settings.max_recipients):
            return TOO_MANY_RECIPIENTS
        if not house.rates.count(self.address, admission.group.recipients_per_hour):
            return TOO_MANY_THIS_HOUR
        return None

    def _begin_content(self) -> None:
        transaction = self._transaction
        assert transaction is not None  # the core allows DATA only behind an accepted recipient
        core = self._core
        secured = "S" if core.tls else ""
        kind = "UTF8SMTP" if transaction.arguments.smtputf8 else "ESMTP"  # RFC 6531 §4.3
        received = received_field(
            core.helo,
            self.address,
            self._house.options.hostname,
            f"{kind}{secured}" if core.esmtp else "SMTP",
            transaction.mid,
            transaction.recipients,
            self._house.clock.seconds(),
        )
        transaction.begin_content(self._house.queue.begin(transaction.mid), received)

    def _take_responsibility(self) -> None:
        transaction = self._transaction
        assert transaction is not None
        transaction.end_content()
        if transaction.failure is not None or transaction.writer is None:
            self._core.refuse(transaction.failure or LOCAL_ERROR)
            self._fail(transaction.cause)
            return
        if self._house.filters is None:
            self._commit(transaction, ())
        else:
            self._ask_filters(self._house.filters, transaction)

    def _ask_filters(self, filters: FilterChain, transaction: Transaction) -> None:
        core = self._core
        client = Client(
            icid=self._icid,
            listener=self._house.listener,
            address=self.address,
            name=self.client_name,
            helo=core.helo,
            esmtp=core.esmtp,
            tls=self.tls,
        )
        judging = filtered(filters, transaction, client, core.options.max_message_size)
        self._filtering = Deferred.fromCoroutine(judging)
        self._filtering.addCallbacks(
            self._judged, self._not_judged, callbackArgs=(transaction,), errbackArgs=(transaction,)
        )

    def _judged(self, verdict: Refused | Dropped | tuple[str, ...], transaction: Transaction) -> None:
        """The filters' word, unless it comes too late."""
        self._filtering = None
        if self._transaction is not transaction:
            transaction.abort()
        elif isinstance(verdict, Refused):
            self._core.refuse(verdict.reply)
            self.drop(f"Refused by filter {verdict.filter}" if verdict.filter else verdict.reply.text)
            self._on_answer()
        elif isinstance(verdict, Dropped):
            self.drop(f"Dropped by filter {verdict.filter}")
            self._accept(transaction)
        else:
            self._commit(transaction, verdict)

    def _not_judged(self, failure: Failure, transaction: Transaction) -> None:
        self._filtering = None
        if self._transaction is transaction:  # else it was dropped, and the filters were told to stop
            self._not_durable(failure, transaction)

    def _commit(self, transaction: Transaction, holds: tuple[str, ...]) -> None:
        """Make it durable. `holds` is who wants it held, and why."""
        assert transaction.writer is not None
        envelope = transaction.envelope(
            arrived=self._house.clock.seconds(),
            icid=self._icid,
            client=str(self.address),
            helo=self._core.helo,
            held=bool(holds),
        )
        durable = transaction.writer.commit(envelope)
        durable.addCallbacks(
            self._durable, self._not_durable, callbackArgs=(transaction, holds), errbackArgs=(transaction,)
        )

    def _durable(self, _: None, transaction: Transaction, holds: tuple[str, ...]) -> None:
        """The message is ours now, even if the client has gone meanwhile."""
        header = transaction.header
        self._house.sink.emit(
            events.MessageReceived(
                transaction.mid,
                self._icid,
                transaction.arguments.reverse_path,
                transaction.size,
                header.field(b"message-id:"),
                header.field(b"subject:"),
            )
        )
        self._house.sink.emit(events.MessageQueued(transaction.mid))
        for by in holds:
            self._house.sink.emit(events.MessageHeld(transaction.mid, by))
        self._transaction = None
        self._accept(transaction)

    def _accept(self, transaction: Transaction) -> None:
        """Say that the message is ours, be it queued or discarded."""
        self.injected += 1
        self._core.accept(Reply(250, "2.0.0", f"MID {transaction.mid} queued"))
        self._on_answer()

    def _not_durable(self, failure: Failure, transaction: Transaction) -> None:
        if failure.check(OSError):
            reply, cause = STORAGE, f"Cannot write to the queue: {failure.value}"
        else:
            reply, cause = LOCAL_ERROR, f"Cannot queue: {failure.getErrorMessage()}"
        self._house.sink.emit(events.Fault(f"MID {transaction.mid}: {cause}"))
        self._core.refuse(reply)
        self._fail(cause)
        self._on_answer()

    def _fail(self, cause: str) -> None:
        self.report(cause)
        self.drop("Receiving aborted")

    def drop(self, text: str) -> None:
        """Forget the transaction, if there is one."""
        transaction, self._transaction = self._transaction, None
        filtering, self._filtering = self._filtering, None
        if filtering is not None:
            filtering.cancel()
        if transaction is not None:
            transaction.abort()
            self._house.sink.emit(events.MessageAborted(transaction.mid, self._icid, text))
            self._house.sink.emit(events.MessageFinished(transaction.mid, aborted=True))

    def report(self, text: str) -> None:
        """A limit or rule ended something."""
        self._house.sink.emit(events.ReceiveFailed(self._icid, text))
