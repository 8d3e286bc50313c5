"""One client's session: what is known of the client, and the answers to its commands. No sockets, no Twisted: octets are
`seg.receive.protocol`'s affair, and who may do what is said by `seg.receive.checks`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from seg.common.clock import posix
from seg.config.receive import Access
from seg.events.receive import (
    BadCommand,
    ClientCertificateShown,
    ConnectionAccepted,
    ConnectionAdmitted,
    ConnectionClosed,
    ConnectionLost,
    MessageStarted,
    ReceiveFailed,
    ReceiveTLSStarted,
    RecipientAccepted,
    RecipientRefused,
    SenderRefused,
    UnknownCommand,
)
from seg.filter.message import Client
from seg.filter.submission import HeaderCompletion
from seg.mail.client import client_address
from seg.mail.hosts import IPAddress
from seg.receive.auth_session import AuthSession
from seg.receive.checks import ClientFacts, check_mail, check_rcpt, check_vrfy
from seg.receive.context import ListenerContext
from seg.receive.end_of_data import EndOfData
from seg.receive.handshake import HandshakeFacts
from seg.receive.received_header import from_clause, received_field
from seg.receive.transaction import ReceiveTransaction, not_stored
from seg.smtp import server_events as events
from seg.smtp.reply import Reply
from seg.smtp.server import ServerConnection
from seg.smtp.server_table import State
from seg.smtp.xclient import XClient

TOO_MANY_CONNECTIONS = Reply.of(421, "4.7.0", "Too many connections from your address; try again later")
TOO_MANY_THIS_HOUR = Reply.of(452, "4.7.1", "Too many recipients received this hour")


class ReceiveSession(EndOfData):
    """Answers what the core of one session asks, and tells the sink what happens.

    :param on_answer: called when the answer to a whole message was given, or to AUTH, that took its time.
    """

    def __init__(
        self,
        context: ListenerContext,
        core: ServerConnection,
        icid: int,
        address: IPAddress,
        on_answer: Callable[[], None],
    ) -> None:
        super().__init__(context, core, icid, on_answer)
        self.client = ClientFacts(address)
        self.local = ""  # our address
        self.content_began = 0.0  # seconds by the clock
        self.auth: AuthSession | None = None
        self._peer = address  # who is really at the other end
        self._xclient: XClient | None = None  # what a proxy said, until it is decided on
        if context.sasl is not None:
            self.auth = AuthSession(context.sasl, context, core, icid, self._refusals, on_answer)

    # --- the client

    def proxied(self, address: IPAddress) -> bool:
        """A load balancer says whose connection this is; whether that client may have one more."""
        balancer, self._peer = self.client.address, address
        self.client = ClientFacts(address)
        return self._context.connections.move(balancer, address)

    def apply_xclient(self, client: XClient) -> None:
        """A mail proxy says whose connection it passes on: until it is decided on that client nothing is allowed."""
        before = self.client
        address = before.address if client.address is None else client_address(str(client.address))
        self.client = ClientFacts(address, tls=before.tls)  # a certificate was the proxy's own
        self._xclient = client
        self._core.may_relay = False
        self._context.connections.move(before.address, address)

    def tell_accepted(self, name: str, verified: bool) -> None:
        """Whose connection it is; "" is no name."""
        address = str(self.client.address)
        self._sink.emit(ConnectionAccepted(self._icid, self._context.listener, self.local, address, name, verified))

    def admit(self, name: str) -> None:
        """Look the client up in the host access table.

        :param name: verified; "" = there is none.
        """
        context, core = self._context, self._core
        access = context.access.lookup(self.client.address, name)
        self._sink.emit(ConnectionAdmitted(self._icid, access.action, access.group.name, access.match))
        self.client = attrs.evolve(self.client, name=name, access=access)
        if access.group.access is Access.REFUSE:
            return
        xclient, self._xclient = self._xclient, None
        if xclient is not None:
            core.reset_for_xclient(xclient.helo or "", xclient.login or "")
        core.options = context.options.limited(access.group.max_message_size, access.group.max_recipients)
        core.may_relay = access.may_relay
        core.xclient_allowed = context.proxies.lookup(self._peer).may_relay

    def refusal(self) -> Reply | None:
        """What a client gets that is turned away at the greeting; None: it is greeted."""
        group = self.client.access.group
        if self.client.access.refused:
            return Reply.of(554, "5.7.1", group.reject_text)
        if self._context.connections.exceeds(self.client.address, group.max_connections):
            self.report(f"Connection limit exceeded: {group.max_connections} from {self.client.address}")
            return TOO_MANY_CONNECTIONS
        return None

    def secured(self, facts: HandshakeFacts) -> None:
        """TLS is on. A client that holds a certificate which is listed may relay."""
        core = self._core
        if core.state is State.TLS:
            core.tls_started()
        else:
            core.tls_from_the_start()
        self._sink.emit(ReceiveTLSStarted(self._icid, facts.tls.protocol, facts.tls.cipher, facts.group))
        certificate = self.client.certificate
        if facts.holder is not None:
            self._sink.emit(ClientCertificateShown(self._icid, facts.holder, facts.known))
            certificate = facts.holder if facts.known else ""
            core.may_relay = core.may_relay or facts.known
        self.client = attrs.evolve(self.client, tls=facts.tls, certificate=certificate)
        if self.auth is not None:
            self.auth.secured(facts.bindings)

    def finish(self, lost: bool) -> None:
        """The connection is over; a message that isn't whole is forgotten, one that is being made durable is kept.

        :param lost: it wasn't we who closed it.
        """
        core = self._core
        if self.auth is not None:
            self.auth.cancel()
        if lost:
            self._sink.emit(ConnectionLost(self._icid))
        if self.filtering:
            self.drop("Receiving aborted by sender: connection lost while filters judged the message")
        elif not core.awaiting:
            octets = self.transaction.size if self.transaction is not None else 0
            self.drop(f"Receiving aborted by sender: connection lost in state {core.state.value}, {octets} octets")
        self._refusals.finish()
        self._sink.emit(ConnectionClosed(self._icid))

    # --- commands

    def react(self, event: events.ServerEvent) -> None:
        """Answer, or take note of, what the core tells."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _identified(self) -> ClientFacts:
        """The client, with what the core knows of it by now."""
        core, client = self._core, self.client
        if client.identity != core.identity or client.encrypted is not core.tls:
            self.client = client = attrs.evolve(client, identity=core.identity, encrypted=core.tls)
        return client

    def _mail(self, event: events.MailCommand) -> None:
        context, sender = self._context, event.arguments.reverse_path
        refusal = check_mail(self._identified(), sender, context.rules, self.injected)
        if refusal is not None:
            self._refusals.emit(SenderRefused(self._icid, sender, str(refusal)))
            self._core.refuse(refusal)
            return
        if (full := context.queue.refusal()) is not None:  # before the content has come for nothing
            self._core.refuse(not_stored(full))
            self._refusals.emit(ReceiveFailed(self._icid, f"Cannot write to the queue: {full.strerror}"))
            return
        mid = context.counters.next_mid()
        self.transaction = ReceiveTransaction(mid, event.arguments, context.settings.max_received_hops)
        self._sink.emit(MessageStarted(mid, self._icid, sender))
        self._core.accept()

    def _rcpt(self, event: events.RcptCommand) -> None:
        transaction, arguments, client = self.transaction, event.arguments, self.client
        assert transaction is not None  # the core asks for recipients only behind MAIL
        address = arguments.address
        refusal = check_rcpt(client, address, transaction.accepted, self._context.rules)
        hourly = client.access.group.recipients_per_hour
        if refusal is None and hourly and not self._context.rates.count(client.address, hourly):
            refusal = TOO_MANY_THIS_HOUR
        if refusal is not None:
            self._refusals.emit(RecipientRefused(transaction.mid, self._icid, address, str(refusal)))
            self._core.refuse(refusal)
            return
        if address.lower() == "postmaster":  # RFC 5321 §4.5.1
            address = self._context.postmaster
        if transaction.add_recipient(address, arguments):
            rid = len(transaction.recipients) - 1
            self._sink.emit(RecipientAccepted(transaction.mid, self._icid, rid, address))
        self._core.accept()

    def _vrfy(self, event: events.VrfyCommand) -> None:
        """What RCPT would say; nothing is counted."""
        refusal = check_vrfy(self._identified(), event.address, self._context.rules)
        if refusal is not None:
            self._core.refuse(refusal)
        else:
            self._core.accept()

    def _data(self, event: events.DataStarted) -> None:
        transaction, core, client = self.transaction, self._core, self.client
        assert transaction is not None  # the core allows DATA only behind an accepted recipient
        rules, now = self._context.submission, posix(self._context.clock)
        authenticated = bool(core.identity)
        secured = ("S" if core.tls else "") + ("A" if authenticated else "")  # RFC 3848
        kind = "UTF8SMTP" if transaction.arguments.smtputf8 else "ESMTP"  # RFC 6531 §4.3
        received = received_field(
            "" if rules.hides(authenticated) else from_clause(core.helo, client.address),
            self._context.options.hostname,
            f"{kind}{secured}" if core.esmtp else "SMTP",
            transaction.mid,
            transaction.recipients,
            now,
        )
        completion = None
        if rules.completes(authenticated, client.may_relay):
            # Whom a missing From is to name: the sender that a user was allowed, unless users have to say in the header who they are.
            may_name = authenticated and not self._context.senders.check_header
            author = transaction.arguments.reverse_path if may_name else ""
            completion = HeaderCompletion(rules, author, transaction.mid, now)
        self.content_began = self._context.clock.seconds()
        transaction.begin_content(self._context.queue.begin(transaction.mid), received, completion)

    def _content(self, event: events.ContentReceived) -> None:
        if self.transaction is not None:
            self.transaction.write(event.data)

    def _content_ended(self, event: events.ContentEnded) -> None:
        core, client = self._core, self.client
        self.conclude(
            Client(
                icid=self._icid,
                listener=self._context.listener,
                address=client.address,
                name=client.name,
                helo=core.helo,
                esmtp=core.esmtp,
                tls=client.tls,
                user=core.identity,
                mechanism=self.auth.mechanism if self.auth is not None and core.identity else "",
            )
        )

    def _content_refused(self, event: events.ContentRefused) -> None:
        self.fail(event.reply.message)

    def _too_large(self, event: events.MailTooLarge) -> None:
        self._refusals.emit(ReceiveFailed(self._icid, "Message size exceeds limit"))

    def _dropped(self, event: events.TransactionDropped) -> None:
        self.drop("Receiving aborted by sender")

    def _authentication(self, event: events.AuthBegun | events.AuthResponse | events.AuthEnded) -> None:
        if self.auth is None:
            return
        if isinstance(event, events.AuthBegun):
            self.auth.begin(event, self.client.address)
        elif isinstance(event, events.AuthResponse):
            self.auth.respond(event)
        else:
            self.auth.ended(event)

    def _unknown(self, event: events.CommandUnknown) -> None:
        self._refusals.emit(UnknownCommand(self._icid, event.line))

    def _refused(self, event: events.CommandRefused) -> None:
        self._refusals.emit(BadCommand(self._icid, event.line, str(event.reply), event.reply.code))

    def _ended(self, event: events.SessionEnded) -> None:
        if event.cause:
            self.report(event.cause)
        self.drop("Receiving aborted" if event.cause else "Receiving aborted by sender")


_HANDLERS: dict[type[events.ServerEvent], Callable[[ReceiveSession, Any], None]] = {
    events.ContentReceived: ReceiveSession._content,
    events.RcptCommand: ReceiveSession._rcpt,
    events.MailCommand: ReceiveSession._mail,
    events.DataStarted: ReceiveSession._data,
    events.ContentEnded: ReceiveSession._content_ended,
    events.ContentRefused: ReceiveSession._content_refused,
    events.MailTooLarge: ReceiveSession._too_large,
    events.TransactionDropped: ReceiveSession._dropped,
    events.VrfyCommand: ReceiveSession._vrfy,
    events.AuthBegun: ReceiveSession._authentication,
    events.AuthResponse: ReceiveSession._authentication,
    events.AuthEnded: ReceiveSession._authentication,
    events.CommandUnknown: ReceiveSession._unknown,
    events.CommandRefused: ReceiveSession._refused,
    events.SessionEnded: ReceiveSession._ended,
}
