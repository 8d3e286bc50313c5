"""What is in a stranger's certificate costs little time, or isn't looked at."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from seg.tls.context import ClientTLS, session_facts
from seg.tls.limits import MAX_CERTIFICATE, MAX_NAME, excess, size_excess
from seg.tls.names import dns_names, issuer_of, names_of, subject_of
from seg.tls.peer import PeerCertificates, Trust
from seg.tls.roots import RootStore
from seg.tls.webpki import WebPKI
from tests.certificates import NOW, SERVER_AUTH, Authority, Issued, build, new_key
from tests.tls.handshake import shake

ROOT = Authority.root()
OTHER = Authority.root("Other Root")
KEY = new_key()
MOST = 0.05  # seconds of the reactor


def name_of(count: int) -> x509.Name:
    """A name of many parts."""
    parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, f"x{number}") for number in range(count)]
    return x509.Name([x509.RelativeDistinguishedName([part]) for part in parts])


def leaf(subject: str | x509.Name = "leaf", names: Sequence[str] = (), extra: Sequence[Any] = ()) -> x509.Certificate:
    """A certificate of the authority that is trusted."""
    subject_names = ("a.test", *names)
    return build(subject, KEY, ROOT.certificate.subject, ROOT.key, names=subject_names, eku=(SERVER_AUTH,), extra=extra)


def with_rsa_key(bits: int, exponent: int) -> x509.Certificate:
    """A certificate with a key of which nobody knows the private half."""
    modulus = secrets.randbits(bits) | 1 | 1 << (bits - 1)
    return with_key(rsa.RSAPublicNumbers(exponent, modulus).public_key())


def with_dsa_key(bits: int) -> x509.Certificate:
    """The same, of another kind."""
    p, q = (secrets.randbits(size) | 1 | 1 << (size - 1) for size in (bits, 256))
    return with_key(dsa.DSAPublicNumbers(3, dsa.DSAParameterNumbers(p, q, 2)).public_key())


def with_key(key: rsa.RSAPublicKey | dsa.DSAPublicKey) -> x509.Certificate:
    """A certificate with this key."""
    builder = x509.CertificateBuilder(ROOT.certificate.subject, name_of(1), key, 7, NOW, NOW.replace(year=2030))
    return builder.sign(ROOT.key, hashes.SHA256())


def extensions(count: int, size: int) -> list[Any]:
    """Extensions that nobody knows."""
    value = b"\x04\x82" + size.to_bytes(2) + b"x" * size
    return [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.3.6.1.4.1.{number}"), value), False)
        for number in range(count)
    ]


def fresh(certificate: x509.Certificate) -> x509.Certificate:
    """The same, with nothing in it decoded yet."""
    return x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER))


def seconds(work: Callable[[], object]) -> float:
    """CPU time: the best of several runs."""
    best = 1.0
    for _ in range(3):
        begin = time.thread_time()
        work()
        best = min(best, time.thread_time() - begin)
    return best


def large() -> dict[str, x509.Certificate]:
    """Certificates with more than anybody needs: of a hundred kilobytes, and the largest that are looked at."""
    return {
        "3,000 RDNs": leaf(name_of(3000)),
        "6,000 RDNs": leaf(name_of(6000)),
        "5,000 names": leaf(names=[f"host{number}.some.test" for number in range(5000)]),
        "4,000 extensions": leaf(extra=extensions(4000, 2)),
        "one huge extension": leaf(extra=extensions(1, 65_000)),
        "names below the bound": leaf(names=[f"h{number}.test" for number in range(2000)]),
        "RDNs below the bound": leaf(name_of(240)),
        "extensions below the bound": leaf(extra=extensions(90, 300)),
        "DSA 4096": with_dsa_key(4096),
        "RSA 16384": with_rsa_key(16384, 65537),
        "RSA 8192": with_rsa_key(8192, (1 << 32) + 1),
        "RSA with a huge exponent": with_rsa_key(3072, secrets.randbits(3071) | 1),
    }


class LimitTests(SynchronousTestCase):
    """`seg.tls.limits` and what stands behind it."""

    certificates = large()

    def test_what_is_too_much(self) -> None:
        """Each excess is told with its size and the bound."""
        table = {
            "3,000 RDNs": "octets, more than 32768",
            "5,000 names": "octets, more than 32768",
            "RSA 16384": "an RSA key of 16384 bits, more than 8192",
            "RSA with a huge exponent": "an RSA exponent of",
            "DSA 4096": "a DSA key of 4096 bits, more than 3072",
        }
        for name, text in table.items():
            self.assertIn(text, excess(self.certificates[name]), name)
        self.assertIn(f"a subject of {MAX_NAME + 1}"[:12], excess(leaf(name_of(400))))
        self.assertIn("extensions, more than 100", excess(leaf(extra=extensions(120, 2))))
        for name in ("names below the bound", "RDNs below the bound", "extensions below the bound", "RSA 8192"):
            self.assertEqual(excess(self.certificates[name]), "", name)

    def test_honest(self) -> None:
        """A certificate of 250 names is nothing to speak of, nor is one of an authority."""
        honest = leaf(names=[f"shop-{number}.some-customer-{number}.example" for number in range(250)])
        self.assertEqual([excess(each) for each in (honest, ROOT.certificate)], ["", ""])

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=300), st.integers(0, 400))
    def test_any_octets(self, noise: bytes, position: int) -> None:
        """Whatever the octets are, an answer or a `ValueError` comes of them."""
        der = ROOT.certificate.public_bytes(Encoding.DER)
        for data in (noise, der[:position] + noise + der[position + len(noise) :]):
            with contextlib.suppress(ValueError):
                size_excess(data)

    def test_other_fields(self) -> None:
        """Behind the six fields that each certificate has may stand others than extensions: an issuerUniqueID is no excess."""

        def sequence(octets: bytes) -> bytes:
            return bytes((0x30, len(octets))) + octets

        self.assertEqual(size_excess(sequence(sequence(b"\x05\x00" * 6 + b"\x81\x00"))), "")

    def test_empty(self) -> None:
        """A certificate in which nothing stands is none."""
        for der in (b"", b"\x30\x00", b"\x30\x02\x30\x00"):
            self.assertRaises(ValueError, size_excess, der)

    def test_explaining_takes_little_time(self) -> None:
        """Naming a certificate to people stays below 50 ms, whatever is in it: subject, issuer and names."""
        for name, certificate in self.certificates.items():
            for work in (subject_of, issuer_of, names_of, excess):
                self.assertLess(seconds(lambda: work(fresh(certificate))), MOST, name)  # noqa: B023

    def test_judging_takes_little_time(self) -> None:
        """So does judging a chain that isn't too much, trusted or not, matching or not, short or as long as may be."""
        names = tuple(f"n{number}.test" for number in range(10))
        chains = [(name, (each,)) for name, each in self.certificates.items() if not excess(each)]
        authority, issuers = ROOT, []
        for number in range(31):
            authority = authority.intermediate(f"Authority {number}")
            issuers.append(authority.certificate)
        chains.append(("32 certificates", (authority.leaf("a.test").certificate, *reversed(issuers))))
        same = [ROOT.intermediate("Same") for _ in range(31)]
        chains.append(("31 of one name", (same[-1].leaf("a.test").certificate, *(each.certificate for each in same))))
        for roots in ((ROOT.certificate,), (OTHER.certificate,)):
            for wanted in (("a.test",), names):
                for name, chain in chains:

                    def judge(chain: tuple[x509.Certificate, ...] = chain) -> None:
                        trust = Trust(RootStore(roots), NOW)  # noqa: B023
                        WebPKI(wanted, "test").examine(PeerCertificates(tuple(map(fresh, chain))), trust)  # noqa: B023

                    self.assertLess(seconds(judge), MOST, name)

    def test_not_looked_at(self) -> None:
        """A session with a certificate that is too large is told as such: it passes no examination, and nothing in it is decoded."""
        issued = Issued(leaf(names=[f"host{number}.some.test" for number in range(2500)]), KEY)
        facts = self.shaken(issued)
        self.assertEqual(facts.peer.chain, ())
        self.assertIn(f"octets, more than {MAX_CERTIFICATE}: too much to look at", facts.peer.fault)
        found = WebPKI(("a.test",), "test").examine(facts.peer, Trust(RootStore((ROOT.certificate,)), NOW))
        self.assertFalse(found.ok)
        self.assertEqual(dns_names(leaf())[0], "a.test")

    def shaken(self, issued: Issued) -> Any:
        """What a client learns in a handshake with a server that shows this."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(issued.certificate)
        context.use_privatekey(issued.key)

        class Creator:
            def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
                return SSL.Connection(context, None)

        client, _ = shake(ClientTLS().creator("a.test", "192.0.2.1:25"), Creator())  # type: ignore[arg-type]
        return session_facts(client, "a.test")
