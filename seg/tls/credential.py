"""Certificates and keys of our own, from PEM files."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL

from seg.common.errors import ConfigurationError
from seg.common.files import NO_FILE, FileSignature, signature_of
from seg.tls.chain import date_line
from seg.tls.names import UNREADABLE, subject_of
from seg.tls.pem import read_pem


@attrs.frozen
class KeyPair:
    """A certificate, its intermediates and its key, from PEM files."""

    chain: list[x509.Certificate]
    _key: PrivateKeyTypes = attrs.field(repr=False)
    _certificate_file: str
    _key_file: str

    def install(self, context: SSL.Context) -> None:
        """Have a context present it.

        :raises ConfigurationError: the key doesn't fit.
        """
        leaf = self.chain[0]
        try:
            context.use_certificate(leaf)
            for issuer in self.chain[1:]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(self._key)  # type: ignore[arg-type]  # of a kind it refuses: a TypeError below
            context.check_privatekey()
        except (SSL.Error, *UNREADABLE) as error:
            fault = f"private key of {self._key_file} can't be used with certificate {subject_of(leaf)}"
            raise _problem(self._certificate_file, f"{fault} ({_reason(error)})") from error


def read_credential(
    certificate_file: str, key_file: str = "", now: datetime.datetime | None = None, outdated: bool = False
) -> KeyPair:
    """What stands in PEM files, of a certificate that is valid at `now` (aware; None: the present time). Blocks.

    :param key_file: "" = the key is in the certificate file.
    :param outdated: whether one that isn't valid then is taken, too: for a start, as it is better than no gateway (`seg.tls.expiry` tells).
    :raises ConfigurationError: a file is missing or unreadable, or the dates are wrong.
    """
    chain = server_chain(certificate_file)
    key = _load_key(key_file or certificate_file)
    leaf = chain[0]
    now = now or datetime.datetime.now(datetime.UTC)
    if not outdated and not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise _problem(certificate_file, date_line(leaf, expired=now > leaf.not_valid_after_utc))
    return KeyPair(chain, key, certificate_file, key_file or certificate_file)


def marks_of(paths: Iterable[str]) -> tuple[FileSignature, ...]:
    """What tells changed files from those that were read; "" is none, one that isn't there has the mark of nothing. Blocks a little."""
    return tuple(_mark(Path(path)) for path in paths if path)


def _mark(path: Path) -> FileSignature:
    try:
        return signature_of(path)
    except OSError:
        return NO_FILE


def _problem(path: str, fault: str) -> ConfigurationError:
    return ConfigurationError((f"{path}: {fault}",))


def _reason(error: Exception) -> str:
    """OpenSSL's own reason in words."""
    entries = error.args[0] if error.args else ""
    return entries[0][-1] if isinstance(entries, list) and entries else str(error)


def server_chain(path: str) -> list[x509.Certificate]:
    """The certificates in a PEM file, the server's own first.

    :raises ConfigurationError: there are none, or the file can't be read.
    """
    data = read_pem(path)
    try:
        return x509.load_pem_x509_certificates(data)
    except UNREADABLE as error:
        raise _problem(path, f"no usable PEM certificate ({error})") from error


def key_pem(path: str) -> bytes:
    """The private key in a PEM file, without a password.

    :raises ConfigurationError: there is none, or the file can't be read.
    """
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return _load_key(path).private_bytes(serialization.Encoding.PEM, pkcs8, plain)


def _load_key(path: str) -> PrivateKeyTypes:
    data = read_pem(path)
    try:
        return serialization.load_pem_private_key(data, password=None)
    except UNREADABLE as error:
        raise _problem(path, f"no usable private key in PEM, without a password ({error})") from error
