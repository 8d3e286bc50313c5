"""What all sessions of a listener share."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime

from seg.auth.sasl_server import SASLServer
from seg.config.receive import Receive
from seg.dns.interfaces import IResolver
from seg.events.base import IEventSink
from seg.filter.chain import FilterChain
from seg.filter.submission import SubmissionRules
from seg.local.table import LocalTable
from seg.mail.ids import IMessageIds
from seg.queue.interfaces import IQueue
from seg.receive.access import HostAccess
from seg.receive.checks import ReceiveRules
from seg.receive.connection_counter import ListenerConnections
from seg.receive.rates import RecipientRateLimit
from seg.receive.recipients import RecipientAccess
from seg.receive.senders import NO_RULES, SenderRules
from seg.receive.turns import ClientTurns
from seg.receive.workqueue import WorkQueue
from seg.smtp.server_options import ServerOptions


@attrs.frozen
class ListenerContext:
    """Rules, and the way to the other rooms."""

    settings: Receive
    options: ServerOptions
    listener: str
    postmaster: str  # whom mail to <Postmaster> goes to
    queue: IQueue
    counters: IMessageIds
    sink: IEventSink
    clock: IReactorTime
    access: HostAccess
    proxies: HostAccess  # who may say by XCLIENT whose connection they pass on
    balancers: HostAccess  # whose connections begin with a PROXY header
    recipients: RecipientAccess
    rates: RecipientRateLimit
    connections: ListenerConnections
    work: WorkQueue
    turns: ClientTurns
    resolver: IResolver | None  # for the names of clients; None: not looked up
    tls: IOpenSSLServerConnectionCreator | None
    submission: SubmissionRules  # whose messages are completed
    implicit_tls: bool = False  # TLS from the first octet
    filters: FilterChain | None = None  # None: there are none
    sasl: SASLServer | None = None  # where clients authenticate; None: AUTH isn't offered
    bounce_profile: str = ""  # of the listener
    auth_profile: str = ""  # its name in the log
    local: Callable[[], LocalTable] | None = None  # who gets mail for this machine
    senders: SenderRules = NO_RULES  # as whom those who authenticated may send
    rules: ReceiveRules = attrs.field(init=False)  # of `seg.receive.checks`

    @rules.default
    def _rules(self) -> ReceiveRules:
        return ReceiveRules(self.recipients, self.senders, self.settings.max_recipients, self.local)
