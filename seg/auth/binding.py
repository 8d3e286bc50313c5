"""Channel bindings: what both ends of a TLS session know, and nobody between two sessions could make equal.

tls-exporter (RFC 9266) for TLS 1.3, tls-server-end-point (RFC 5929 §4) for every version. tls-unique isn't offered: it can be
forged where a session was resumed without the extended master secret (RFC 7627), and TLS 1.3 doesn't have it.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

_EXPORTER_LABEL = b"EXPORTER-Channel-Binding"  # RFC 9266 §4.2
_EXPORTER_SIZE = 32


def channel_bindings(connection: SSL.Connection) -> dict[str, bytes]:
    """The channel bindings of a session whose handshake is done, on the server's side, by type."""
    found: dict[str, bytes] = {}
    if connection.get_protocol_version_name() == "TLSv1.3":
        found["tls-exporter"] = connection.export_keying_material(_EXPORTER_LABEL, _EXPORTER_SIZE, b"")
    certificate = connection.get_certificate(as_cryptography=True)
    end_point = server_end_point(certificate) if certificate is not None else None
    if end_point is not None:
        found["tls-server-end-point"] = end_point
    return found


def server_end_point(certificate: x509.Certificate) -> bytes | None:
    """The hash of the server's certificate (RFC 5929 §4.1); None where its signature has no hash function of its own."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if algorithm is None:  # Ed25519: the RFC says that the binding is then undefined
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate.public_bytes(Encoding.DER))
    return digest.finalize()
