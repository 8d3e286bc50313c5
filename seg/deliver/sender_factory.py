"""Makes the protocols of outgoing connections, each with its DCID."""

from __future__ import annotations

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ClientFactory

from seg.common.threads import InThread
from seg.config.schema import Delivery
from seg.deliver.smtp_client import SMTPClientProtocol
from seg.mail.ids import IMessageIds


class ESMTPSenderFactory(ClientFactory):
    """Builds an `SMTPClientProtocol`, with a DCID of its own, for each connection that is made."""

    noisy = False

    def __init__(
        self,
        hostname: str,
        settings: Delivery,
        clock: IReactorTime,
        counters: IMessageIds,
        lmtp: bool = False,
        in_thread: InThread = maybeDeferred,
    ) -> None:
        self._hostname = hostname
        self._lmtp = lmtp
        self._settings = settings
        self._clock = clock
        self._counters = counters
        self._in_thread = in_thread

    def called(self, hostname: str, lmtp: bool) -> ESMTPSenderFactory:
        """One like this for another name of ours ("" = the same), or for LMTP."""
        if not lmtp and hostname in ("", self._hostname):
            return self
        name = hostname or self._hostname
        return ESMTPSenderFactory(name, self._settings, self._clock, self._counters, lmtp, self._in_thread)

    def buildProtocol(self, addr: IAddress | None) -> SMTPClientProtocol:
        """A sender for a connection to `addr`."""
        dcid = self._counters.next_dcid()
        return SMTPClientProtocol(dcid, self._hostname, self._settings, self._clock, self._lmtp, self._in_thread)
