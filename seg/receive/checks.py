"""What a client may do: pure functions over frozen values. Nothing is counted here; the limits that count are asked afterwards, by
`seg.receive.session`."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from seg.config.receive import Access, SenderGroup
from seg.filter.message import SessionTLS
from seg.local.table import LocalTable
from seg.mail.hosts import IPAddress
from seg.receive.access import AccessDecision
from seg.receive.recipients import RELAYING_DENIED, RecipientAccess, local_objection
from seg.receive.senders import SenderRules
from seg.smtp.reply import Reply
from seg.smtp.server_auth import AUTH_REQUIRED
from seg.smtp.server_replies import STARTTLS_FIRST

NOBODY = AccessDecision(SenderGroup(name="", access=Access.REJECT), "")
TOO_MANY_MESSAGES = Reply.of(452, "4.5.3", "Too many messages on this connection")
TOO_MANY_RECIPIENTS = Reply.of(452, "4.5.3", "Too many recipients")
NOT_OWN_ADDRESS = Reply.of(553, "5.7.1", "Sender address is not that of the authenticated user")


@attrs.frozen
class ClientFacts:
    """What is known of a client. Each new fact makes a new value: PROXY header, name, TLS, certificate, AUTH, XCLIENT."""

    address: IPAddress
    name: str = ""  # by verified reverse lookup
    access: AccessDecision = NOBODY  # until the host access table has been looked at
    encrypted: bool = False
    tls: SessionTLS | None = None
    certificate: str = ""  # subject of the client's certificate, if its holder may relay
    identity: str = ""  # whom it authenticated as
    may_relay: bool = attrs.field(init=False)  # recipients anywhere are accepted

    @may_relay.default
    def _by_any_means(self) -> bool:
        return self.access.may_relay or bool(self.identity or self.certificate)


@attrs.frozen
class ReceiveRules:
    """The operator's word on senders and recipients."""

    recipients: RecipientAccess
    senders: SenderRules
    max_recipients: int  # of one message, where the client's group has no number of its own
    local: Callable[[], LocalTable] | None = None  # who gets mail for this machine


def check_mail(client: ClientFacts, reverse_path: str, rules: ReceiveRules, sent: int) -> Reply | None:
    """Why the client may not begin a transaction from this address; None when it may.

    :param sent: messages accepted on this connection.
    """
    group = client.access.group
    if group.tls_required and not client.encrypted:
        return STARTTLS_FIRST
    if group.auth_required and not client.identity:
        return AUTH_REQUIRED
    if client.identity and not rules.senders.may_use(client.identity, reverse_path):
        return NOT_OWN_ADDRESS
    return TOO_MANY_MESSAGES if 0 < group.max_messages <= sent else None


def check_rcpt(client: ClientFacts, address: str, count: int, rules: ReceiveRules) -> Reply | None:
    """Why a recipient isn't accepted; None when it is.

    :param count: recipients accepted in this transaction.
    """
    refusal = check_vrfy(client, address, rules)
    if refusal is None and count >= (client.access.group.max_recipients or rules.max_recipients):
        return TOO_MANY_RECIPIENTS
    return refusal


def check_vrfy(client: ClientFacts, address: str, rules: ReceiveRules) -> Reply | None:
    """Why mail of this client to an address isn't accepted, how much of it there ever is; None when it is."""
    if not client.may_relay:
        if client.access.group.access is not Access.ACCEPT:
            return RELAYING_DENIED
        refusal = rules.recipients.objection(address)
        if refusal is not None:
            return refusal
    return None if rules.local is None else local_objection(rules.local(), address)
