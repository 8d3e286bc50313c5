"""What a peer presented, what we trust, and what an examination found."""

from __future__ import annotations

import datetime
import enum

import attrs
from cryptography import x509

from seg.mail.causes import CauseKind
from seg.tls.roots import RootStore


class TLSVersion(enum.IntEnum):
    """Protocol versions we speak (RFC 8996 rules out all before 1.2); the value orders them."""

    TLS1_2 = 2
    TLS1_3 = 3

    @property
    def label(self) -> str:
        """As OpenSSL and the mail log write it: ``TLSv1.3``."""
        return f"TLSv1.{self.value}"


@attrs.frozen
class PeerCertificates:
    """The chain as presented in the handshake, the leaf first; empty when there was none."""

    chain: tuple[x509.Certificate, ...] = ()
    fault: str = ""  # why the chain could not be read ("" = it could)


@attrs.frozen
class Trust:
    """Whom we trust, and at what time: `roots` are loaded once (`seg.tls.roots`), `now` is when we judge."""

    roots: RootStore
    now: datetime.datetime  # aware, UTC


@attrs.frozen
class CertificateVerdict:
    """What an authenticator found: no mismatches means that the peer is who the policy wants."""

    mismatches: tuple[
        str, ...
    ] = ()  # every one, each a line for people: names wanted and presented, dates, missing issuer
    matched: str = ""  # what satisfied it: "name mx.example.com", "TLSA 3 1 1"
    summary: str = ""  # on failure: the short form for "verify error: <summary>"
    cause: CauseKind | None = attrs.field(default=None, eq=False)  # on failure
    name: str = attrs.field(default="", eq=False)  # of the certificate, where that is what satisfied it

    @property
    def ok(self) -> bool:
        """Whether the peer is accepted."""
        return not self.mismatches


@attrs.frozen
class SessionFacts:
    """What was achieved with one peer, for `seg.policy.judge`."""

    tls: bool = False
    version: str = ""  # "TLSv1.3"
    cipher: str = ""
    sni: str = ""
    peer: PeerCertificates = PeerCertificates()
    starttls_offered: bool = False
    failure: str = ""  # why there is no TLS though it was tried
    resumed: bool = False
    group: str = ""  # of the key exchange, as OpenSSL calls it: "x25519", "X25519MLKEM768"; "" = none
