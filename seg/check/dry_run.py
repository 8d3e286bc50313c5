"""What makes an attempt a dry run: the same algorithm, up to a session that would do; then QUIT, and the next host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import attrs
from zope.interface import implementer

from seg.deliver.attempt_record import AttemptRecord
from seg.deliver.plan import AttemptPlan
from seg.deliver.transmit import ITransmit
from seg.deliver.verified_connection import VerifiedConnection
from seg.mail.envelope import Envelope, Recipient
from seg.mail.hosts import PeerAddress
from seg.mail.ids import IMessageIds
from seg.queue.interfaces import IContent, Lease


@implementer(IMessageIds)
class NoIds:
    """Connections of a check bear no DCID: they aren't deliveries, and the mail log doesn't show them."""

    unreserved = False

    def reserve(self) -> None:
        """Nothing to reserve."""

    def next_mid(self) -> int:
        """None."""
        return 0

    def next_icid(self) -> int:
        """None."""
        return 0

    def next_dcid(self) -> int:
        """None."""
        return 0


@implementer(IContent)
class EmptyContent:
    """The content of no message."""

    size = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Nothing."""
        nothing: tuple[bytes, ...] = ()
        for piece in nothing:
            yield piece

    async def head(self, limit: int) -> bytes:
        """Nothing."""
        return b""


def dry_lease(domain: str) -> Lease:
    """The lease of no message, to one recipient at a domain."""
    recipient = Recipient(0, f"postmaster@{domain}")
    return Lease(Envelope(0, "", (recipient,), 0.0), domain, (recipient,), EmptyContent())


def without_limits(plan: AttemptPlan) -> AttemptPlan:
    """The plan without the limit on connections: the few of a dry run aren't what it is for."""
    by_mx, by_route = (attrs.evolve(each, connections=0) for each in (plan.by_mx, plan.by_route))
    return attrs.evolve(plan, by_mx=by_mx, by_route=by_route)


@implementer(ITransmit)
class NoTransmit:
    """Sends nothing and leaves politely. No recipient gets an outcome, so that all hosts are looked at."""

    def limit(self, plan: AttemptPlan, address: PeerAddress) -> None:
        """None, as nothing is sent."""

    async def send(
        self, attempt: AttemptRecord, host: str, connection: VerifiedConnection, waiting: Sequence[Recipient]
    ) -> list[Recipient]:
        """Leave."""
        connection.sender.quit_soon()
        return []
