"""Clients that may relay by their certificate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.tls import clients as clients_module
from seg.tls.clients import TrustedClients, holder_of
from seg.tls.listening import ListenerCertificates
from tests.certificates import CLIENT_AUTH, NOW, SERVER_AUTH, Authority, Issued, build, new_key, self_signed
from tests.tls.handshake import shake

Usage = ExtendedKeyUsageOID
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
ROOT = Authority.root()
OTHER = Authority.root("Other Root")
LISTED = self_signed("app.example")


def authority(name: str, **more: Any) -> Authority:
    """A root with extensions of its own."""
    key = new_key()
    return Authority(build(name, key, name, key, days=(-100, 100), ca=True, **more), key)


def key_usage(**wanted: bool) -> x509.KeyUsage:
    """These usages, and no others."""
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in names})


class ClientTests(SynchronousTestCase):
    """`TrustedClients`."""

    def listed(self, *certificates: Issued, names: Sequence[str] = ()) -> TrustedClients:
        """A file of these."""
        path = Path(self.mktemp())
        path.write_bytes(b"".join(issued.pem() for issued in certificates))
        return TrustedClients(str(path), names)

    def test_table(self) -> None:
        """Listed itself, or issued directly by a listed authority for clients; valid; no authority; and nothing else."""
        old = Authority.root("Old Root", days=(-100, -1))
        limited = authority("Limited", extra=[(x509.NameConstraints([x509.DNSName("ok.example")], None), True)])
        short = authority("Short", path_length=0)
        subordinate = ROOT.intermediate("Listed Subordinate")
        listed_old = self_signed("old.example", days=(-10, -1))
        listed_authority = self_signed("own.example", ca=True)
        clients = self.listed(LISTED, ROOT, old, limited, short, subordinate, listed_old, listed_authority)

        def leaf(*usages: x509.ObjectIdentifier, of: Authority = ROOT, name: str = "a.example", **more: Any) -> Issued:
            return of.leaf(name, eku=usages or None, **more)

        table = {
            "listed": (LISTED, True),
            "listed, expired": (listed_old, False),
            "of the name of one that is listed": (self_signed("app.example"), False),
            "clientAuth": (leaf(CLIENT_AUTH), True),
            "no extendedKeyUsage": (leaf(), True),
            "any extendedKeyUsage": (leaf(Usage.ANY_EXTENDED_KEY_USAGE), True),
            "clientAuth and serverAuth": (leaf(SERVER_AUTH, CLIENT_AUTH), True),
            "serverAuth only": (leaf(SERVER_AUTH), False),
            "emailProtection only": (leaf(Usage.EMAIL_PROTECTION), False),
            "codeSigning only": (leaf(Usage.CODE_SIGNING), False),
            "expired": (leaf(CLIENT_AUTH, days=(-10, -1)), False),
            "not yet valid": (leaf(CLIENT_AUTH, days=(1, 10)), False),
            "listed authority's own": (ROOT, False),
            "listed, self-signed, and an authority": (listed_authority, False),
            "subordinate authority's own": (ROOT.intermediate(eku=(CLIENT_AUTH,)), False),
            "listed subordinate authority's own": (subordinate, False),
            "through a subordinate": (leaf(CLIENT_AUTH, of=ROOT.intermediate()), False),
            "through a subordinate that is listed": (leaf(CLIENT_AUTH, of=subordinate), True),
            "of a listed leaf": (leaf(CLIENT_AUTH, of=Authority(LISTED.certificate, LISTED.key)), False),
            "foreign": (leaf(CLIENT_AUTH, of=OTHER), False),
            "of the authority's name, by another key": (leaf(CLIENT_AUTH, of=Authority.root()), False),
            "of an expired authority": (leaf(CLIENT_AUTH, of=old), False),
            "keyUsage with digitalSignature": (
                leaf(CLIENT_AUTH, extra=[(key_usage(digital_signature=True), True)]),
                True,
            ),
            "keyUsage without it": (leaf(CLIENT_AUTH, extra=[(key_usage(key_encipherment=True), True)]), False),
            "name constraints kept": (leaf(CLIENT_AUTH, of=limited, name="x.ok.example"), True),
            "name constraints violated": (leaf(CLIENT_AUTH, of=limited, name="x.bad.example"), False),
            "of one with pathLen 0": (leaf(CLIENT_AUTH, of=short), True),
            "pathLen violated": (leaf(CLIENT_AUTH, of=short.intermediate("Too Low")), False),
            "unknown critical extension": (leaf(CLIENT_AUTH, extra=[(UNKNOWN, True)]), False),
            "key too weak": (leaf(CLIENT_AUTH, key=rsa.generate_private_key(65537, 1024)), False),
        }
        wrong = [name for name, (issued, known) in table.items() if clients.knows(issued.certificate, NOW) is not known]
        self.assertEqual(wrong, [])
        self.assertIn("app.example", holder_of(LISTED.certificate))
        self.assertFalse(clients.knows(LISTED.certificate, NOW + timedelta(days=1000)))

    def test_names(self) -> None:
        """With names set a certificate of an authority needs one of them; one that is listed itself doesn't."""
        clients = self.listed(LISTED, ROOT, names=("*.Partner.example", "gw.other.example"))
        table = (
            (("gw.partner.example",), True),
            (("x.example", "GW.partner.example"), True),
            (("gw.other.example",), True),
            (("a.gw.partner.example",), False),
            (("partner.example",), False),
            (("gw.partner.example.evil.example",), False),
            (("*.partner.example",), True),
            (("*.other.example",), False),
            (("*.example",), False),
            ((), False),
        )
        for names, known in table:
            leaf = ROOT.leaf(*names, common_name="gw.partner.example", eku=(CLIENT_AUTH,))
            self.assertIs(clients.knows(leaf.certificate, NOW), known, names)
        self.assertTrue(clients.knows(LISTED.certificate, NOW))

    def test_public_authority(self) -> None:
        """A listed authority that the system trusts lets everybody in: that is worth a Warning, unless names are set."""
        system = Path(self.mktemp())
        system.write_bytes(ROOT.pem() + OTHER.pem())
        self.patch(clients_module, "system_list", lambda: str(system))
        (warning,) = self.listed(ROOT, LISTED).warnings()
        self.assertIn("CN=Test Root is a public authority", warning)
        self.assertIn("set client_names", warning)
        # The same authority by another certificate of its own.
        again = Authority.root(key=ROOT.key)
        self.assertEqual(len(self.listed(again).warnings()), 1)
        self.assertEqual(self.listed(ROOT, names=("*.partner.example",)).warnings(), ())
        self.assertEqual(self.listed(Authority.root("Own Root"), LISTED).warnings(), ())
        system.unlink()
        self.assertEqual(self.listed(ROOT).warnings(), ())

    def test_no_system_list(self) -> None:
        """Where the system has no list of authorities nothing can be said of theirs."""
        self.patch(clients_module, "system_list", lambda: "")
        self.assertEqual(self.listed(ROOT).warnings(), ())

    def test_unreadable(self) -> None:
        """A certificate whose fields can't be decoded is nobody's, however the decoding fails."""
        clients = self.listed(ROOT, LISTED)

        class Broken:
            def __init__(self, error: Exception) -> None:
                self.error = error

            def __getattr__(self, name: str) -> object:
                raise self.error

        for error in (ValueError("x"), TypeError("x"), OverflowError("x")):
            self.assertIs(clients.knows(cast(x509.Certificate, Broken(error)), NOW), False)

    def test_leaf_is_no_authority(self) -> None:
        """A listed certificate of a client vouches for nobody else."""
        issuer = self_signed("app.example")
        pretender = Authority(issuer.certificate, issuer.key).leaf("evil.example")
        self.assertFalse(self.listed(issuer).knows(pretender.certificate, NOW))
        key = new_key()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "says nothing")])
        unmarked = Authority(
            x509.CertificateBuilder(name, name, key.public_key(), 7, NOW - timedelta(1), NOW + timedelta(9)).sign(
                key, hashes.SHA256()
            ),
            key,
        )
        self.assertFalse(self.listed(unmarked).knows(unmarked.leaf("c.example").certificate, NOW))

    def test_files(self) -> None:
        """A file that is missing, or has no certificate, is a fault of the configuration."""
        path = Path(self.mktemp())
        self.assertRaises(ConfigurationError, TrustedClients, str(path))
        for text in (b"", b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"):
            path.write_bytes(text)
            self.assertRaises(ConfigurationError, TrustedClients, str(path))

    def test_asked_for(self) -> None:
        """A listener with such a file asks for a certificate, takes the handshake without one, and sees the one that is shown."""
        folder = Path(self.mktemp())
        folder.mkdir()
        pair = ROOT.leaf("mx.example").write(folder)
        (folder / "clients.pem").write_bytes(LISTED.pem())
        certificates = ListenerCertificates([pair], NOW, str(folder / "clients.pem"))
        assert certificates.clients is not None
        for issued, known in ((None, None), (LISTED, True), (OTHER.leaf("x.example"), False)):
            server = self.shaken(certificates, issued, folder)
            leaf = server.get_peer_certificate(as_cryptography=True)
            self.assertIs(None if leaf is None else certificates.clients.knows(leaf, NOW), known)
        self.assertFalse(certificates.changed())
        (folder / "clients.pem").write_bytes(OTHER.pem() + LISTED.pem())
        self.assertTrue(certificates.changed())

    def shaken(self, certificates: ListenerCertificates, issued: Issued | None, folder: Path) -> SSL.Connection:
        """The server's side behind a handshake with a client that shows this."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if issued is not None:
            certificate, key = issued.write(folder, "client")
            context.use_certificate_file(certificate)
            context.use_privatekey_file(key)

        class Creator:
            def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
                return SSL.Connection(context, None)

        _, server = shake(Creator(), certificates)  # type: ignore[arg-type]
        return server
