"""Protocols and ciphers of one direction, as the operator chose them."""

from __future__ import annotations

import attrs
from OpenSSL import SSL

from seg.common.errors import ConfigurationError
from seg.config.schema import TLS, TLSMinimum
from seg.tls.groups import apply_groups, classical
from seg.tls.peer import TLSVersion

NUMBERS = {TLSVersion.TLS1_2: SSL.TLS1_2_VERSION, TLSVersion.TLS1_3: SSL.TLS1_3_VERSION}
_LOWEST = {TLSMinimum.TLS1_2: TLSVersion.TLS1_2, TLSMinimum.TLS1_3: TLSVersion.TLS1_3}


@attrs.frozen
class Parameters:
    """What a context allows."""

    min_version: TLSVersion = TLSVersion.TLS1_2
    ciphers: str = ""  # of TLS 1.2, as OpenSSL writes them; "" = OpenSSL's own choice
    groups: str = ""  # of the key exchange, with colons between; "" = OpenSSL's own choice

    @property
    def classical(self) -> Parameters | None:
        """The same with classical groups only; None when that is no other offer, or none at all."""
        groups = classical(self.groups)
        return attrs.evolve(self, groups=groups) if groups not in ("", self.groups) else None

    def apply(self, context: SSL.Context, wanted: TLSVersion = TLSVersion.TLS1_2) -> None:
        """Set up a context for at least the version `wanted`.

        :raises ConfigurationError: OpenSSL knows none of the ciphers, or of the groups.
        """
        context.set_min_proto_version(NUMBERS[max(wanted, self.min_version)])
        if self.ciphers:
            try:
                context.set_cipher_list(self.ciphers.encode("ascii", "replace"))
            except SSL.Error as error:
                raise ConfigurationError((f"[tls] OpenSSL knows none of the ciphers {self.ciphers!r}",)) from error
        apply_groups(context, self.groups)


def inbound(tls: TLS) -> Parameters:
    """For listeners."""
    return Parameters(_LOWEST[tls.inbound_min_version], tls.inbound_ciphers, tls.inbound_groups)


def outbound(tls: TLS) -> Parameters:
    """Towards other hosts."""
    return Parameters(_LOWEST[tls.outbound_min_version], tls.outbound_ciphers, tls.outbound_groups)


USUAL = Parameters()
OUTBOUND = outbound(TLS())
