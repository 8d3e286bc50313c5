"""What is decided while a client hands in messages: who may send to whom, and when a message is ours."""

from __future__ import annotations

from collections.abc import Callable

from seg.common.clock import posix
from seg.config.schema import Access, SenderGroup
from seg.events.receive import (
    BadCommand,
    MessageStarted,
    ReceiveFailed,
    RecipientAccepted,
    RecipientRefused,
    SenderRefused,
    UnknownCommand,
)
from seg.filter.message import Client, SessionTLS
from seg.filter.submission import HeaderCompletion
from seg.mail.hosts import IPAddress
from seg.receive.access import AccessDecision
from seg.receive.auth_session import AuthSession
from seg.receive.context import ListenerContext
from seg.receive.end_of_data import EndOfData
from seg.receive.received_header import received_field
from seg.receive.recipients import RELAYING_DENIED, local_objection
from seg.receive.refusals import Refusals
from seg.receive.transaction import ReceiveTransaction, not_stored
from seg.smtp import server_events as told
from seg.smtp.commands import RcptArguments
from seg.smtp.server import ServerConnection
from seg.smtp.server_auth import AUTH_REQUIRED
from seg.smtp.server_replies import STARTTLS_FIRST, ServerReply

NOBODY = AccessDecision(SenderGroup(name="", access=Access.REJECT), "")
TOO_MANY_MESSAGES = ServerReply(452, "4.5.3", "Too many messages on this connection")
TOO_MANY_THIS_HOUR = ServerReply(452, "4.7.1", "Too many recipients received this hour")
TOO_MANY_RECIPIENTS = ServerReply(452, "4.5.3", "Too many recipients")
NOT_OWN_ADDRESS = ServerReply(553, "5.7.1", "Sender address is not that of the authenticated user")


class ReceiveSession:
    """Answers what the core of one session asks, and tells the sink what happens.

    :param on_answer: called when the answer to a whole message was given.
    """

    def __init__(
        self,
        context: ListenerContext,
        core: ServerConnection,
        icid: int,
        address: IPAddress,
        on_answer: Callable[[], None],
    ) -> None:
        self._context = context
        self._core = core
        self._icid = icid
        self.address = address
        self.admission = NOBODY  # until the host access table has been looked at
        self.client_name = ""  # by verified reverse lookup
        self.tls: SessionTLS | None = None
        self.certified = ""  # subject of the client's certificate, if its holder may relay
        self.login: AuthSession | None = None
        self._refusals = Refusals(context.sink, icid)
        if context.sasl is not None:
            self.login = AuthSession(
                context.sasl, core, icid, context.auth_profile, context.sink, self._refusals, on_answer
            )
        self._conclusion = EndOfData(context, core, icid, self._refusals, on_answer)

    @property
    def injected(self) -> int:
        """Messages accepted."""
        return self._conclusion.injected

    @property
    def filtering(self) -> bool:
        """Whether filters judge a message just now: it may still be dropped."""
        return self._conclusion.filtering

    @property
    def octets(self) -> int:
        """How much of a message has been stored so far."""
        transaction = self._conclusion.transaction
        return transaction.size if transaction is not None else 0

    def react(self, event: told.ServerEvent) -> None:
        """Answer, or take note of, what the core tells."""
        match event:
            case told.ContentReceived(data):
                if self._conclusion.transaction is not None:
                    self._conclusion.transaction.write(data)
            case told.MailCommand():
                self._begin(event)
            case told.RcptCommand(arguments):
                self._add_recipient(arguments)
            case told.DataStarted():
                self._begin_content()
            case told.ContentEnded():
                self._conclusion.conclude(self._client())
            case told.ContentRefused(reply):
                self._conclusion.fail(reply.text)
            case told.MailTooLarge():
                self._refusals.emit(ReceiveFailed(self._icid, "Message size exceeds limit"))
            case told.TransactionDropped():
                self.drop("Receiving aborted by sender")
            case told.VrfyCommand(address):
                self._verify(address)
            case told.AuthBegun() if self.login is not None:
                self.login.begin(event, self.address)
            case told.AuthResponse() if self.login is not None:
                self.login.respond(event)
            case told.AuthEnded() if self.login is not None:
                self.login.ended(event)
            case told.CommandUnknown(line):
                self._refusals.emit(UnknownCommand(self._icid, line))
            case told.CommandRefused(line, reply):
                self._refusals.emit(BadCommand(self._icid, line, str(reply), reply.code))
            case told.SessionEnded(cause):
                if cause:
                    self.report(cause)
                self.drop("Receiving aborted" if cause else "Receiving aborted by sender")

    def _begin(self, event: told.MailCommand) -> None:
        context, sender = self._context, event.arguments.reverse_path
        objection = self._objection_to_sender(sender)
        if objection is not None:
            self._refusals.emit(SenderRefused(self._icid, sender, str(objection)))
            self._core.refuse(objection)
            return
        if (full := context.queue.refusal()) is not None:  # before the content has come for nothing
            self._core.refuse(not_stored(full))
            self._refusals.emit(ReceiveFailed(self._icid, f"Cannot write to the queue: {full.strerror}"))
            return
        transaction = ReceiveTransaction(
            context.counters.next_mid(), event.arguments, context.settings.max_received_hops
        )
        self._conclusion.transaction = transaction
        context.sink.emit(MessageStarted(transaction.mid, self._icid, sender))
        self._core.accept()

    def _objection_to_sender(self, reverse_path: str) -> ServerReply | None:
        """Why the client may not begin a transaction from this address, or None when it may."""
        group = self.admission.group
        if group.tls_required and not self._core.tls:
            return STARTTLS_FIRST
        if group.auth_required and not self._core.identity:
            return AUTH_REQUIRED
        if self._core.identity and not self._context.senders.may_use(self._core.identity, reverse_path):
            return NOT_OWN_ADDRESS
        if 0 < group.max_messages <= self.injected:
            return TOO_MANY_MESSAGES
        return None

    @property
    def _may_relay(self) -> bool:
        """Whether recipients anywhere are accepted: by address or name, by AUTH, or by a certificate."""
        return bool(self.admission.may_relay or self._core.identity or self.certified)

    def _verify(self, address: str) -> None:
        """What RCPT would say; nothing is counted."""
        if not self._may_relay:
            accepts = self.admission.group.access is Access.ACCEPT
            objection = self._context.recipients.objection(address) if accepts else RELAYING_DENIED
            if objection is not None:
                self._core.refuse(objection)
                return
        if (objection := self._nobody(address)) is not None:
            self._core.refuse(objection)
            return
        self._core.accept()

    def _nobody(self, address: str) -> ServerReply | None:
        """The reply where a recipient is on this machine and nobody takes his mail."""
        local = self._context.local
        return None if local is None else local_objection(local(), address)

    def _add_recipient(self, arguments: RcptArguments) -> None:
        transaction, sink, address = self._conclusion.transaction, self._context.sink, arguments.address
        assert transaction is not None  # the core asks for recipients only behind MAIL
        refusal = self._objection(address, transaction.accepted)
        if refusal is not None:
            self._refusals.emit(RecipientRefused(transaction.mid, self._icid, address, str(refusal)))
            self._core.refuse(refusal)
            return
        if address.lower() == "postmaster":  # RFC 5321 §4.5.1
            address = self._context.postmaster
        if transaction.add_recipient(address, arguments):
            rid = len(transaction.recipients) - 1
            sink.emit(RecipientAccepted(transaction.mid, self._icid, rid, address))
        self._core.accept()

    def _objection(self, address: str, recipients: int) -> ServerReply | None:
        """Why a recipient isn't accepted, or None when it is, and counted."""
        admission, context = self.admission, self._context
        if not self._may_relay:
            if admission.group.access is not Access.ACCEPT:
                return RELAYING_DENIED
            objection = context.recipients.objection(address)
            if objection is not None:
                return objection
        if (objection := self._nobody(address)) is not None:
            return objection
        if recipients >= (admission.group.max_recipients or context.settings.max_recipients):
            return TOO_MANY_RECIPIENTS
        if not context.rates.count(self.address, admission.group.recipients_per_hour):
            return TOO_MANY_THIS_HOUR
        return None

    def _begin_content(self) -> None:
        transaction = self._conclusion.transaction
        assert transaction is not None  # the core allows DATA only behind an accepted recipient
        core = self._core
        secured = ("S" if core.tls else "") + ("A" if core.identity else "")  # RFC 3848
        kind = "UTF8SMTP" if transaction.arguments.smtputf8 else "ESMTP"  # RFC 6531 §4.3
        rules, now = self._context.submission, posix(self._context.clock)
        received = received_field(
            core.helo,
            self.address,
            self._context.options.hostname,
            f"{kind}{secured}" if core.esmtp else "SMTP",
            transaction.mid,
            transaction.recipients,
            now,
            rules.hides(bool(core.identity)),
        )
        completion = None
        if rules.completes(bool(core.identity), self._may_relay):
            completion = HeaderCompletion(rules, self._author(transaction), transaction.mid, now)
        transaction.begin_content(self._context.queue.begin(transaction.mid), received, completion)

    def _author(self, transaction: ReceiveTransaction) -> str:
        """Whom a missing From is to name: the sender that a user was allowed, unless users have to say in the header who they are."""
        if not self._core.identity or self._context.senders.check_header:
            return ""
        return transaction.arguments.reverse_path

    def _client(self) -> Client:
        """Who hands the message in."""
        core = self._core
        return Client(
            icid=self._icid,
            listener=self._context.listener,
            address=self.address,
            name=self.client_name,
            helo=core.helo,
            esmtp=core.esmtp,
            tls=self.tls,
            user=core.identity,
            mechanism=self.login.mechanism if self.login is not None and core.identity else "",
        )

    def drop(self, text: str) -> None:
        """Forget the transaction, if there is one."""
        self._conclusion.drop(text)

    def finish(self) -> None:
        """The connection is over."""
        self._refusals.finish()

    def report(self, text: str) -> None:
        """A limit or rule ended something."""
        self._conclusion.report(text)
