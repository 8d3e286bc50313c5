"""The transactions that a message takes on one connection, by the server's limits and by ours."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from zope.interface import Interface, implementer

from seg.deliver.attempt_record import AttemptRecord
from seg.deliver.connection_limits import LimitReached
from seg.deliver.connections import ConnectionOpener
from seg.deliver.plan import AttemptPlan
from seg.deliver.rate_limits import SendingRates
from seg.deliver.transactions import at_host, fewer, is_one_too_many, may_go_anew
from seg.deliver.verified_connection import VerifiedConnection
from seg.mail.envelope import Recipient
from seg.mail.hosts import PeerAddress
from seg.mail.outcome import Delivered


class ITransmit(Interface):
    """Carries a message over a connection that satisfies the decision."""

    def limit(plan: AttemptPlan, address: PeerAddress) -> LimitReached | None:
        """The limit that an address has reached, None while it may have another recipient."""

    def send(
        attempt: AttemptRecord, host: str, connection: VerifiedConnection, waiting: Sequence[Recipient]
    ) -> Awaitable[list[Recipient]]:
        """Send it to as many of these as may be, put down each outcome in `attempt.outcomes`, and give the connection back.

        :return: whom a new connection to the same host may serve at once.
        """


@implementer(ITransmit)
class SMTPTransmit:
    """Sends messages.

    :param rates: recipients that each address with a limit has had.
    """

    def __init__(self, opener: ConnectionOpener, rates: SendingRates) -> None:
        self._opener = opener
        self._rates = rates

    def limit(self, plan: AttemptPlan, address: PeerAddress) -> LimitReached | None:
        """See `ITransmit.limit`."""
        rate, rates = plan.address_rate, self._rates
        if not rate.recipients or rates.allowance(address, rate):
            return None
        return LimitReached(address, lambda: rates.allowance(address, rate), "recipients")

    async def send(
        self, attempt: AttemptRecord, host: str, connection: VerifiedConnection, waiting: Sequence[Recipient]
    ) -> list[Recipient]:
        """See `ITransmit.send`."""
        lease, plan, sender, address = attempt.lease, attempt.plan, connection.sender, connection.key.address
        anew: list[Recipient] = []
        taken: int | None = None  # of one transaction, when the server wanted no more
        while waiting:
            reached = self.limit(plan, address) if plan.address_rate.recipients else None
            if reached is not None:
                attempt.crowded.append(reached)
                break
            most = self._most_recipients(sender.capabilities.max_recipients, taken, plan, address)
            batch, rest = waiting[:most], waiting[most:] if most else []
            attempt.observer.transmitting(connection, tuple([r.rid for r in batch]))
            if plan.address_rate.recipients:
                self._rates.count(address, plan.address_rate, len(batch))
            results = await sender.send(lease.envelope, batch, lease.content)
            attempt.outcomes.update(results)
            attempt.observer.transmitted(connection, results)
            failed = [r for r in batch if type(results[r.rid]) is not Delivered]
            for recipient in failed:
                attempt.outcomes[recipient.rid] = at_host(results[recipient.rid], host)
            refused = [r for r in failed if is_one_too_many(results[r.rid])]
            if refused:
                taken = fewer(len(batch), [results[r.rid] for r in refused])
            waiting = [*refused, *rest]
            again = [r for r in failed if may_go_anew(results[r.rid])]
            if again:
                anew = [*again, *waiting]
            if taken == 0 or not sender.healthy:
                break
        attempt.progress.parts()
        limits = (plan.profile.messages_per_connection, sender.capabilities.max_transactions)
        self._opener.give(connection, min(limit for limit in limits if limit))
        return anew

    def _most_recipients(
        self, servers: int | None, taken: int | None, plan: AttemptPlan, address: PeerAddress
    ) -> int | None:
        """The most recipients of one transaction, None for no limit: the server's own limit, as said or as shown, or less by ours."""
        rate = plan.address_rate
        ours = self._rates.allowance(address, rate) if rate.recipients else 0
        return min((limit for limit in (servers, taken, ours) if limit), default=None)
