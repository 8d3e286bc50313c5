"""A connection that may be used for one message, and what was asked for to get it."""

from __future__ import annotations

import attrs

from seg.deliver.outbound import OutboundSettings
from seg.deliver.pool import PoolKey
from seg.deliver.progress import AttemptProgress
from seg.deliver.smtp_client import SMTPClientProtocol
from seg.mail.hosts import MXHost
from seg.policy.judge import Verdict
from seg.policy.requirement import Decision


@attrs.frozen
class VerifiedConnection:
    """A connection that may be used for one message, and the verdict that allows it."""

    sender: SMTPClientProtocol
    verdict: Verdict
    key: PoolKey


@attrs.frozen
class ConnectRequest:
    """A connection that is to be opened: to whom, for what decision, and how we show ourselves."""

    decision: Decision
    host: MXHost
    key: PoolKey
    outgoing: OutboundSettings
    progress: AttemptProgress

    @property
    def server_name(self) -> str:
        """What is sent as SNI (RFC 6066 §3)."""
        return self.decision.requirement.sni or self.decision.host

    @property
    def peer(self) -> str:
        """The address and port, as `ClientTLS` knows the peer."""
        return f"{self.key.address}:{self.key.port}"
