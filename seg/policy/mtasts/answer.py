"""What a fetch met on its way: the text in the end, or how far it came; for checks, and for people."""

from __future__ import annotations

import attrs

from seg.tls.names import UNREADABLE, issuer_of, names_of
from seg.tls.peer import SessionFacts


@attrs.frozen
class FetchTrace:
    """One fetch, complete or not: what hadn't been found out yet when it stopped is empty."""

    url: str
    proxy: str = ""  # host:port, without credentials; "" = none is used
    address: str = ""  # address:port of the policy host tried last, or the proxy; "" = none was tried
    facts: SessionFacts = attrs.field(factory=SessionFacts)  # of the TLS session with the policy host
    body: bytes = b""

    @property
    def tls_version(self) -> str:
        """``TLSv1.3``; "" when no handshake was finished."""
        return self.facts.version

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the certificate speaks for. Never raises."""
        return names_of(self.facts.peer.chain[0]) if self.facts.peer.chain else ()

    @property
    def issuer(self) -> str:
        """Who issued the certificate; "" without one. Never raises."""
        return issuer_of(self.facts.peer.chain[0]) if self.facts.peer.chain else ""

    @property
    def not_after(self) -> str:
        """When the certificate ends (``2026-12-31 12:00:00 UTC``); "" without one. Never raises."""
        if not self.facts.peer.chain:
            return ""
        try:
            return f"{self.facts.peer.chain[0].not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
        except UNREADABLE:
            return "(unreadable date)"
