"""What a policy may demand of a peer's certificates."""

from __future__ import annotations

from zope.interface import Attribute, Interface

from seg.tls.peer import CertificateVerdict, PeerCertificates, Trust


class IAuthenticator(Interface):
    """What a policy wants of the peer's certificates. A part of a `Requirement`; immutable, hashable, pure."""

    source = Attribute("str: the provider that asks for it: 'mta-sts', 'dane', 'static', ...")

    verifies = Attribute("bool: acceptance verifies the peer; False: trusted only (TLSA records below an insecure MX)")

    def examine(peer: PeerCertificates, trust: Trust) -> CertificateVerdict:
        """Judge the chain that the peer presented. Never raises: whatever can't be parsed is a mismatch."""
