"""Who a client is, and whether it is let in: the header of a load balancer, the client's name, the host access table; and again when a mail
proxy says by XCLIENT whose connection it passes on. Until that is decided nothing is read, but the header."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred, TimeoutError
from twisted.python.failure import Failure

from seg.config.receive import Access
from seg.events.receive import ReceiveFailed
from seg.mail.client import client_address
from seg.mail.errors import LocalFault
from seg.receive.context import ListenerContext
from seg.receive.proxy_protocol import ProxyHeader, ProxyHeaderError
from seg.receive.reverse_dns import client_name
from seg.receive.session import TOO_MANY_CONNECTIONS, ReceiveSession
from seg.receive.timers import SessionTimers
from seg.smtp.reply import Reply
from seg.smtp.xclient import XClient

PROXY_TIMEOUT = 10.0  # seconds for the header of a load balancer
# Seconds for the name of a client. The resolver ends each question long before: who is over this is ours.
NAME_TIMEOUT = 60.0

NAME_NOT_KNOWN = Reply.of(421, "4.3.0", "Your host name can't be looked up at the moment; try again later")


class AdmittingProtocol(Protocol):
    """The connection."""

    @property
    def over(self) -> bool:
        """It is closed, or being closed."""

    def read_or_wait(self) -> None:
        """A look-up has begun, or has ended."""

    def admitted(self, early: bytes) -> None:
        """The client may talk, and has sent this already."""

    def end(self, reply: Reply) -> None:
        """Give a last reply and close."""

    def cut(self) -> None:
        """Close without a reply."""

    def lived_too_long(self) -> None:
        """The time that a connection may last is over."""


class ClientAdmission:
    """Decides on one client."""

    def __init__(
        self, context: ListenerContext, session: ReceiveSession, timers: SessionTimers, protocol: AdmittingProtocol
    ) -> None:
        self.header: ProxyHeader | None = None  # has to come first
        self.looking_up: Deferred[Any] | None = None  # the client's name; nothing is read meanwhile
        self._context = context
        self._session = session
        self._timers = timers
        self._protocol = protocol
        self._read_ahead = b""  # came behind the header, before the greeting

    def start(self) -> None:
        """The connection is there."""
        context = self._context
        if context.balancers.lookup(self._session.client.address).may_relay:
            self.header = ProxyHeader()
            self._timers.start(self._no_header, self._protocol.lived_too_long, PROXY_TIMEOUT)
            return
        self._find_name()

    def take(self, header: ProxyHeader, data: bytes) -> None:
        """The load balancer says who the client is; one that doesn't has no business here."""
        try:
            found = header.feed(data)
        except ProxyHeaderError as error:
            self._no_header(str(error))
            return
        if found is None:
            return
        self.header, self._read_ahead = None, found.rest
        self._timers.stop()
        if found.client is not None:
            client = client_address(str(found.client))
            if not self._session.proxied(client):
                self._context.sink.emit(ReceiveFailed(0, f"Connection limit exceeded: {client}"))
                self._protocol.end(TOO_MANY_CONNECTIONS)
                return
        self._find_name()

    def apply_xclient(self, client: XClient) -> None:
        """A mail proxy says whose connection it passes on: everything is decided anew for that client."""
        self._session.apply_xclient(client)
        self._timers.stop()
        if client.name:
            self._client_known(client.name, True)
        else:
            self._find_name()

    def cancel(self) -> None:
        """The client has gone."""
        if self.looking_up is not None:
            self.looking_up.cancel()

    def _no_header(self, why: str = "no PROXY header in time") -> None:
        self._context.sink.emit(ReceiveFailed(0, f"{why} from {self._session.client.address}"))
        self._protocol.cut()

    def _find_name(self) -> None:
        """Look the client's name up, if the host access table asks for names."""
        context = self._context
        if context.resolver is None:
            self._client_known("", False)
            return
        looking = Deferred.fromCoroutine(
            client_name(context.resolver, self._session.client.address, context.clock.seconds)
        )
        looking.addTimeout(NAME_TIMEOUT, context.clock)
        self.looking_up = looking
        looking.addCallbacks(self._named, self._not_named)
        self._protocol.read_or_wait()

    def _named(self, found: tuple[str, bool]) -> None:
        """The client's name is known, or that there is none."""
        self.looking_up = None
        if not self._protocol.over:
            self._protocol.read_or_wait()
            self._client_known(*found)

    def _not_named(self, failure: Failure) -> None:
        """It is our fault that the name isn't known: where the table's word depends on it nothing can be said."""
        self.looking_up = None
        if self._protocol.over:
            return
        self._protocol.read_or_wait()
        session = self._session
        if self._context.access.lookup_unnamed(session.client.address) is not None:
            self._client_known("", False)
            return
        fault = failure.value.text if isinstance(failure.value, LocalFault) else _describe(failure)
        session.tell_accepted("", False)
        session.report(f"Name of {session.client.address} not looked up: {fault}")
        self._protocol.end(NAME_NOT_KNOWN)

    def _client_known(self, name: str, verified: bool) -> None:
        """Look the client up in the host access table, and let it talk or not."""
        session = self._session
        session.tell_accepted(name, verified)
        session.admit(name if verified else "")
        if session.client.access.group.access is Access.REFUSE:
            self._protocol.cut()
            return
        early, self._read_ahead = self._read_ahead, b""
        self._protocol.admitted(early)


def _describe(failure: Failure) -> str:
    if failure.check(TimeoutError):
        return f"no answer within {NAME_TIMEOUT:.0f} s"
    return f"{type(failure.value).__name__}: {failure.getErrorMessage()}"
