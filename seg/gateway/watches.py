"""What looks now and then whether something has changed beside the mail: certificates, exemptions, the clock, memory."""

from __future__ import annotations

import attrs

from seg.deliver.exemptions import ExemptionTimer
from seg.events.memory import MemoryWatch
from seg.events.runtime import Runtime
from seg.gateway.active import ActiveConfiguration
from seg.gateway.certificates import CertificateReloader, CertificatesInUse
from seg.gateway.clockwatch import ClockWatch
from seg.tls.expiry import ExpiryWatch


@attrs.frozen
class Watches:
    """All of them, from the start of the gateway to its end."""

    renewal: CertificateReloader
    expiry: ExpiryWatch
    exemptions: ExemptionTimer
    clock: ClockWatch
    memory: MemoryWatch

    def stop(self) -> None:
        """Look no more; one that never began is left alone."""
        self.exemptions.stop()
        self.clock.stop()
        self.memory.stop()
        self.renewal.stop()
        self.expiry.stop()


def build_watches(runtime: Runtime, now: ActiveConfiguration, certificates: CertificatesInUse) -> Watches:
    """All of them; none looks yet."""
    reactor, sink = runtime.reactor, runtime.sink

    def stepped(seconds: float) -> None:
        """Answers of the DNS may be older than they seem, if the machine slept."""
        now.lookups.resolver.flush()

    return Watches(
        CertificateReloader(certificates.reloadable, reactor, sink),
        ExpiryWatch(certificates.presenting, reactor, sink),
        ExemptionTimer(reactor, sink),
        ClockWatch(reactor, sink, stepped),
        MemoryWatch(reactor, sink),
    )
