"""The web PKI as an authenticator: a path to a trusted root, and one of the names wanted (RFC 8461 §4.2)."""

from __future__ import annotations

from typing import ClassVar

import attrs
from cryptography import x509
from zope.interface import implementer

from seg.mail.causes import CauseKind
from seg.tls.chain import NO_CERTIFICATE, path_to_anchor
from seg.tls.interfaces import IAuthenticator
from seg.tls.names import UNREADABLE, dns_names, fitting, names_of, printable
from seg.tls.peer import CertificateVerdict, PeerCertificates, Trust

_SHOWN = 10  # presented names in one line of a log


@implementer(IAuthenticator)
@attrs.frozen
class WebPKI:
    """The peer must have a valid certificate for one of `names`, from one of the trusted roots."""

    names: tuple[str, ...]  # host names, A-labels; the first is the one that a failure names
    source: str  # the provider that asks for it
    hint: str = ""  # what an operator could do when no name matches

    verifies: ClassVar[bool] = True

    def examine(self, peer: PeerCertificates, trust: Trust) -> CertificateVerdict:
        """Judge path and names; every mismatch is listed. Never raises."""
        try:
            return self._examine(peer, trust)
        except UNREADABLE as error:
            return unreadable(error)

    def _examine(self, peer: PeerCertificates, trust: Trust) -> CertificateVerdict:
        fault = unfit(peer)
        if fault is not None:
            return fault
        leaf = peer.chain[0]
        path = path_to_anchor(peer.chain, trust.roots, trust.now)
        name = matching_name(leaf, self.names)
        if path.ok and name:
            return CertificateVerdict(matched=f"name {name}", name=name)
        mismatches = list(path.mismatches)
        if not name:
            mismatches.append(name_mismatch(leaf, self.names))
            mismatches += filter(None, (self.hint,))
        summary = path.summary or f"peer cert does not match domain {self.names[0] if self.names else ''}"
        return CertificateVerdict(tuple(mismatches), summary=summary, cause=path.cause or CauseKind.CERTIFICATE_NAME)


def unfit(peer: PeerCertificates) -> CertificateVerdict | None:
    """The failure that any authenticator finds when there is nothing to judge; None when there is a chain."""
    if peer.fault:
        fault = printable(peer.fault)
        return CertificateVerdict((fault,), summary=fault, cause=CauseKind.CERTIFICATE_OTHER)
    if not peer.chain:
        missing = "the server sent no certificate"
        return CertificateVerdict((missing,), summary=NO_CERTIFICATE, cause=CauseKind.CERTIFICATE_MISSING)
    return None


def unreadable(error: Exception) -> CertificateVerdict:
    """The failure for certificates whose fields can't be decoded."""
    summary = "certificate can't be read"
    line = f"{summary}: {printable(str(error))}"
    return CertificateVerdict((line,), summary=summary, cause=CauseKind.CERTIFICATE_OTHER)


def matching_name(leaf: x509.Certificate, names: tuple[str, ...]) -> str:
    """The first of `names` that the certificate speaks for, or "". May raise one of `UNREADABLE`."""
    presented = {entry.lower() for entry in dns_names(leaf)}
    return next((name for name in names if not presented.isdisjoint(fitting(name))), "")


def name_mismatch(leaf: x509.Certificate, names: tuple[str, ...]) -> str:
    """One line: the names wanted and the names presented."""
    presented = names_of(leaf, _SHOWN + 1)
    shown = ", ".join(presented[:_SHOWN]) + (", ..." if len(presented) > _SHOWN else "")
    wanted = " or ".join(names) if names else "(no name)"
    return f"names wanted: {wanted}; names presented: {shown or 'none (the common name does not count)'}"
