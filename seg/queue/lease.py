"""Recipients of one message, handed out for one attempt at one destination."""

from __future__ import annotations

import attrs

from seg.interfaces import IContent
from seg.model import Envelope, Recipient


@attrs.frozen(eq=False)
class Lease:
    """Held by the delivery engine from `IQueue.lease` to `IQueue.settle` or `IQueue.release`."""

    envelope: Envelope
    domain: str
    recipients: tuple[Recipient, ...]  # of this domain, due now
    content: IContent

    @property
    def mid(self) -> int:
        """The message's id."""
        return self.envelope.mid

    @property
    def via(self) -> str:
        """Where an operator redirected all of them to; "" = nowhere (see `Recipient.via`)."""
        return self.recipients[0].via

    @property
    def rids(self) -> tuple[int, ...]:
        """The recipients' ids."""
        return tuple(r.rid for r in self.recipients)
