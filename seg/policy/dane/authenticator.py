"""TLSA records as an authenticator: DANE-EE and DANE-TA by RFC 7672 §3.1 and RFC 7671 §5. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import ClassVar

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key
from zope.interface import implementer

from seg.mail.causes import CauseKind
from seg.policy.dane.tlsa import CERTIFICATE, DANE_EE, DANE_TA, FULL, PUBLIC_KEY, TLSARecord, association, strongest
from seg.tls.chain import MAX_CHAIN, CertificatePath, path_to_anchor
from seg.tls.interfaces import IAuthenticator
from seg.tls.names import UNREADABLE
from seg.tls.peer import CertificateVerdict, PeerCertificates, Trust
from seg.tls.roots import RootStore
from seg.tls.webpki import matching_name, name_mismatch, unfit, unreadable

MAX_RECORDS = 100  # records looked at; more than a handful is an error of the zone's owner
MAX_SIGNATURES = 20  # checks with anchors given as a key alone, one for each certificate: some take 2 ms
NO_MATCH = "no TLSA record matches the certificate"

_SHOWN = 8  # records named in the lines of a failure


@implementer(IAuthenticator)
@attrs.frozen
class DANEAuthenticator:
    """The peer must match one of `records`."""

    records: tuple[TLSARecord, ...]  # usable ones
    base: str  # TLSA base domain (RFC 7672 §2.2.3), which is the server name to send as well
    names: tuple[str, ...]  # of whom one must be in the certificate when a record names a trust anchor
    verifies: bool = True  # False below an insecure MX

    source: ClassVar[str] = "dane"

    def examine(self, peer: PeerCertificates, trust: Trust) -> CertificateVerdict:
        """Hold the chain against the records. The list of trusted roots plays no part. Never raises."""
        try:
            return self._examine(peer, trust)
        except UNREADABLE as error:
            return unreadable(error)

    def _examine(self, peer: PeerCertificates, trust: Trust) -> CertificateVerdict:
        fault = unfit(peer)
        if fault is not None:
            return fault
        records = strongest(self.records)[:MAX_RECORDS]
        chain = peer.chain[: MAX_CHAIN + 1]
        presented = _presented(records, chain[0])
        for record in records:
            # RFC 7672 §3.1.1: DANE-EE looks at the leaf alone; names, dates and issuers don't matter.
            if record.usage == DANE_EE and presented[record.selector, record.matching] == record.data:
                return CertificateVerdict(matched=f"TLSA {record.label}")
        anchors = tuple(record for record in records if record.usage == DANE_TA)
        found = self._below_anchor(chain, anchors, trust) if anchors else None
        if found is not None and found.ok:
            return found
        lines = [f"TLSA {record} doesn't match" for record in records[:_SHOWN] if record.usage == DANE_EE]
        lines.append(f"presented certificate has 3 1 1 {association(chain[0], PUBLIC_KEY, 1).hex()}")
        lines += found.mismatches if found else ()
        if found is None:
            return CertificateVerdict(tuple(lines), summary=NO_MATCH, cause=CauseKind.TLSA_NO_MATCH)
        return CertificateVerdict(tuple(lines), summary=found.summary, cause=found.cause)

    def _below_anchor(
        self, chain: tuple[x509.Certificate, ...], records: tuple[TLSARecord, ...], trust: Trust
    ) -> CertificateVerdict:
        """DANE-TA (RFC 7672 §3.1.2): a path, valid now, to an anchor of the records; and one of the names."""
        anchors = _anchors(chain, records)
        path, label = self._path(chain, anchors, trust), _labels(anchors.values())
        if not path.ok:
            signed = _signed_by_bare_key(chain, records)
            if signed:
                path, label = self._path(chain, signed, trust, issued=True), _labels(signed.values())
            elif not anchors:
                absent = (f"TLSA {record}: no such trust anchor in the chain" for record in records[:_SHOWN])
                return CertificateVerdict(tuple(absent), summary=NO_MATCH, cause=CauseKind.TLSA_NO_MATCH)
        if not path.ok:
            return CertificateVerdict(path.mismatches, summary=path.summary, cause=path.cause)
        name = matching_name(chain[0], self.names)
        if not name:
            summary = f"peer cert does not match domain {self.base}"
            lines = (name_mismatch(chain[0], self.names),)
            return CertificateVerdict(lines, summary=summary, cause=CauseKind.CERTIFICATE_NAME)
        return CertificateVerdict(matched=f"TLSA {label}, name {name}")

    @staticmethod
    def _path(
        chain: tuple[x509.Certificate, ...],
        anchors: dict[x509.Certificate, TLSARecord],
        trust: Trust,
        issued: bool = False,
    ) -> CertificatePath:
        return path_to_anchor(chain, RootStore(tuple(anchors)), trust.now, anchor_issued=issued)


def _presented(records: tuple[TLSARecord, ...], leaf: x509.Certificate) -> dict[tuple[int, int], bytes]:
    """What a DANE-EE record of each selector and matching type has to hold."""
    kinds = {(record.selector, record.matching) for record in records if record.usage == DANE_EE}
    return {kind: association(leaf, *kind) for kind in kinds}


def _anchors(
    chain: tuple[x509.Certificate, ...], records: tuple[TLSARecord, ...]
) -> dict[x509.Certificate, TLSARecord]:
    """The trust anchors: certificates of the chain that match, and those that a 2 0 0 record holds itself.

    The leaf is never its own anchor, as in OpenSSL and Postfix: that is what DANE-EE is for.
    """
    wanted = {(record.selector, record.matching, record.data): record for record in records}
    kinds = sorted({(record.selector, record.matching) for record in records})
    anchors: dict[x509.Certificate, TLSARecord] = {}
    for certificate in chain[1:]:
        for selector, matching in kinds:
            record = wanted.get((selector, matching, association(certificate, selector, matching)))
            if record is not None and certificate != chain[0]:
                anchors.setdefault(certificate, record)
    for record in records:
        if (record.selector, record.matching) == (CERTIFICATE, FULL):
            certificate = x509.load_der_x509_certificate(record.data)
            if certificate != chain[0]:
                anchors.setdefault(certificate, record)
    return anchors


def _signed_by_bare_key(
    chain: tuple[x509.Certificate, ...], records: tuple[TLSARecord, ...]
) -> dict[x509.Certificate, TLSARecord]:
    """The certificates that a key given in full (2 1 0) has signed: each will do as the end of a path.

    The key's own certificate needn't be sent (RFC 7671 §5.2.3), so that the signature is all there is to go
    by.
    """
    bare = [record for record in records if (record.selector, record.matching) == (PUBLIC_KEY, FULL)]
    own = association(chain[0], PUBLIC_KEY, FULL)
    signed: dict[x509.Certificate, TLSARecord] = {}
    # A leaf that signs itself would be 3 1 0.
    keys = ((record, load_der_public_key(record.data)) for record in bare if record.data != own)
    trials = ((record, key, certificate) for record, key in keys for certificate in chain[:MAX_CHAIN])
    for record, key, certificate in itertools.islice(trials, MAX_SIGNATURES):
        if certificate not in signed and signed_by(certificate, key):
            signed[certificate] = record
    return signed


def signed_by(certificate: x509.Certificate, key: PublicKeyTypes) -> bool:
    """Whether the certificate's signature was made with the private half of `key`. Never raises."""
    try:
        digest = certificate.signature_hash_algorithm
        parameters = certificate.signature_algorithm_parameters
        signature, body = certificate.signature, certificate.tbs_certificate_bytes
        if isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, PKCS1v15 | PSS) and digest:
            key.verify(signature, body, parameters, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(signature, body, parameters)
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and parameters is None:
            key.verify(signature, body)
        else:
            return False
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _labels(records: Iterable[TLSARecord]) -> str:
    return " or ".join(dict.fromkeys(record.label for record in records))
