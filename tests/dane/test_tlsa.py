"""Tests for `seg.policy.dane.tlsa`: which records are usable, and digest agility."""

from __future__ import annotations

from pathlib import Path

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dns.rdata import GenericRdata
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.policy.dane.tlsa import (
    FULL,
    MAX_FULL,
    TLSAError,
    TLSARecord,
    TLSASet,
    association,
    fault_of,
    public_key_info,
    read,
    sort_out,
    strongest,
)
from tests.certificates import Authority, tlsa_data, tlsa_text

ROOT = Authority.root()
LEAF = ROOT.leaf("mx.example.com").certificate
H32, H64 = "ab" * 32, "cd" * 64
CERT, KEY = tlsa_data(LEAF, 0, 0).hex(), tlsa_data(LEAF, 1, 0).hex()

# record, words of the fault ("" = usable)
ROWS = [
    (f"3 1 1 {H32}", ""),
    (f"3 0 1 {H32}", ""),
    (f"3 1 2 {H64}", ""),
    (f"2 0 1 {H32}", ""),
    (f"2 1 2 {H64}", ""),
    (f"2 0 0 {CERT}", ""),
    (f"2 1 0 {KEY}", ""),
    (f"3 0 0 {CERT}", ""),
    (f"3 1 0 {KEY}", ""),
    (f"0 0 1 {H32}", "certificate usage 0 can't be used in SMTP"),
    (f"1 1 1 {H32}", "certificate usage 1 can't be used in SMTP"),
    (f"4 1 1 {H32}", "certificate usage 4"),
    (f"255 1 1 {H32}", "certificate usage 255"),
    (f"3 2 1 {H32}", "unknown selector 2"),
    (f"3 1 3 {H32}", "unknown matching type 3"),
    (f"3 1 1 {H64}", "digest of 64 octets instead of 32"),
    (f"3 1 2 {H32}", "digest of 32 octets instead of 64"),
    (f"3 1 1 {H32[2:]}", "digest of 31 octets"),
    (f"2 0 0 {H32}", "certificate can't be parsed"),
    (f"2 1 0 {CERT}", "public key can't be parsed"),
    (f"3 0 0 {KEY}", "certificate can't be parsed"),
]


def tlsa_of(record: TLSARecord) -> dns.rdata.Rdata:
    """A record as it comes out of a reply, be it readable for dnspython or not."""
    data = bytes((record.usage, record.selector, record.matching)) + record.data
    return GenericRdata(dns.rdataclass.IN, dns.rdatatype.TLSA, data)


def tlsa(text: str) -> dns.rdata.Rdata:
    """The record data in an answer."""
    usage, selector, matching, data = text.split()
    wire = bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(data)
    try:
        return dns.rdata.from_wire("IN", "TLSA", wire, 0, len(wire))
    except dns.exception.DNSException:  # dnspython's class won't hold it
        return dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.TLSA, wire)


class UsabilityTests(SynchronousTestCase):
    """RFC 7672 §3.1.3, RFC 7671 §10."""

    def test_table(self) -> None:
        """Each record is usable, or says why not."""
        for text, fault in ROWS:
            with self.subTest(text[:20]):
                if not fault:
                    self.assertEqual(read(tlsa(text)).label, text[:5])
                else:
                    self.assertIn(fault, str(self.assertRaises(TLSAError, read, tlsa(text))))

    def test_sort_out(self) -> None:
        """Usable records are told from others; doubles count once; records of other types are faults."""
        texts = (f"3 1 1 {H32}", f"0 0 1 {H32}", f"3 1 1 {H32}")
        found = sort_out([*map(tlsa, texts), dns.rdata.from_text("IN", "A", "192.0.2.1")])
        self.assertEqual(found.usable, (TLSARecord(3, 1, 1, bytes.fromhex(H32)),))
        self.assertEqual(len(found.faults), 2)
        short = dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.TLSA, b"\x03")
        self.assertEqual(sort_out([short]).faults, ("not a TLSA record, or too short for one: type 52",))
        self.assertEqual(sort_out([]), TLSASet())

    @given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200))
    @example(2, 0, 0, b"")
    @example(2, 1, 0, b"\x30\x80")
    @settings(max_examples=100)
    def test_never_raises(self, usage: int, selector: int, matching: int, data: bytes) -> None:
        """Whatever is published, a record is usable or has a fault."""
        record = TLSARecord(usage, selector, matching, data)
        self.assertIsInstance(fault_of(record), str)
        self.assertIn(record.label, str(record))


class BoundTests(SynchronousTestCase):
    """What the owner of a zone can make us work."""

    def test_full_data(self) -> None:
        """Of the records with full data the first eight are read; digests beside them count all."""
        full = [f"2 1 0 {tlsa_data(ROOT.leaf('mx.example.com').certificate, 1, 0).hex()}" for _ in range(MAX_FULL + 2)]
        digests = [f"3 1 1 {number:064x}" for number in range(20)]
        records = [dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TLSA, text) for text in (*full, *digests)]
        found = sort_out(records)
        self.assertEqual([record.matching for record in found.usable].count(FULL), MAX_FULL)
        self.assertEqual(len(found.usable), MAX_FULL + 20)
        self.assertEqual(len(found.faults), 2)
        self.assertIn("more than 8 records with full data", found.faults[0])

    def test_rsa_keys(self) -> None:
        """A key whose signatures take long to check can't be used."""
        for bits, exponent, fault in (
            (4096, 65537, ""),
            (8192, (1 << 32) + 15, ""),
            (8200, 65537, "RSA key of 8200 bits"),
            (3072, (1 << 63) + 1, "RSA key with an exponent of 64 bits"),
        ):
            numbers = rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) + 1)
            key = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            self.assertEqual(fault_of(TLSARecord(2, 1, FULL, key)), fault)


class AgilityTests(SynchronousTestCase):
    """RFC 7671 §9."""

    def test_table(self) -> None:
        """Of each usage and selector the strongest digest counts, and full data always."""
        for published, kept in (
            ("311", "311"),
            ("311 312", "312"),
            ("311 312 301", "312 301"),
            ("310 311", "310 311"),
            ("310 311 312", "310 312"),
            ("211 312", "211 312"),
            ("211 212 201 311", "212 201 311"),
        ):
            records = [TLSARecord(int(text[0]), int(text[1]), int(text[2]), b"") for text in published.split()]
            found = " ".join(r.label.replace(" ", "") for r in strongest(records))
            self.assertEqual(found, kept, published)

    def test_unreadable_digest_switches_nothing_off(self) -> None:
        """A broken SHA2-512 record doesn't make the good SHA2-256 one void."""
        found = sort_out([tlsa(tlsa_text(LEAF, 3, 1, 1)), tlsa(f"3 1 2 {H32}")])
        self.assertEqual([r.label for r in strongest(found.usable)], ["3 1 1"])

    def test_association(self) -> None:
        """Certificate or key, whole or as a digest: as another implementation computes it."""
        for selector in (0, 1):
            for matching in (0, 1, 2):
                self.assertEqual(association(LEAF, selector, matching), tlsa_data(LEAF, selector, matching))

    def test_oldest_form_of_a_certificate(self) -> None:
        """X.509 version 1 has no version field; the key is found all the same."""
        certificate = x509.load_pem_x509_certificate((Path(__file__).parent / "data" / "v1.pem").read_bytes())
        self.assertIs(certificate.version, x509.Version.v1)
        self.assertEqual(public_key_info(certificate), tlsa_data(certificate, 1, 0))

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 3), st.booleans()), max_size=8))
    @settings(max_examples=100)
    def test_unusable_records_change_nothing(self, published: list[tuple[int, int, int, bool]]) -> None:
        """Whatever unusable records stand beside them, the same usable ones count, and no weaker digest comes to count."""
        records = [
            TLSARecord(usage, selector, matching, bytes((32, 32, 64, 9)[matching] if right else 7))
            for usage, selector, matching, right in published
        ]
        usable = [record for record in records if not fault_of(record)]
        found = sort_out([tlsa_of(record) for record in records])
        self.assertEqual(found.usable, tuple(dict.fromkeys(usable)))
        counting = strongest(found.usable)
        for record in counting:
            rivals = [r.matching for r in usable if (r.usage, r.selector) == (record.usage, record.selector)]
            self.assertTrue(record.matching in (FULL, max(rivals)))

    def test_key_is_taken_as_it_stands(self) -> None:
        """The key's octets come out as they are in the certificate, whatever the kind of the key."""
        keys = (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP521R1()))
        for certificate in (ROOT.certificate, *(ROOT.leaf("m" * 60, key=key).certificate for key in keys)):
            self.assertEqual(public_key_info(certificate), tlsa_data(certificate, 1, 0))
