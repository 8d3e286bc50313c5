"""Makes ``twistd seg`` known; the gateway itself is imported only when it is started."""

from twisted.application.service import ServiceMaker

seg = ServiceMaker("seg", "seg.gateway.service", "Mail gateway with outbound TLS policy (DANE, MTA-STS, static)", "seg")
