"""OpenSSL's 54 DANE cases, with the result that RFC 7672 asks of an SMTP sender."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import dns.rdata
from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.tlsa import sort_out
from seg.tls.peer import PeerCertificates, Trust
from seg.tls.roots import RootStore

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())
WHEN_VALID = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def outcome(case: dict[str, Any]) -> str:
    """ "ok", "fail" or "unusable"."""
    records = sort_out(dns.rdata.from_text("IN", "TLSA", text) for text in case["tlsa"])
    if not records.usable:
        return "unusable"
    chain = tuple(x509.load_pem_x509_certificate(DATA["certificates"][number].encode()) for number in case["chain"])
    authenticator = DANEAuthenticator(records.usable, case["base"], (case["base"],))
    found = authenticator.examine(PeerCertificates(chain), Trust(RootStore(), WHEN_VALID))
    return "ok" if found.ok else "fail"


class VectorTests(SynchronousTestCase):
    """`DANEAuthenticator` against vectors that others made."""

    def test_all_vectors(self) -> None:
        """Each of the 54 cases comes out as RFC 7672 says."""
        self.assertEqual(len(DATA["cases"]), 54)
        wrong = [(case["n"], case["smtp"], outcome(case)) for case in DATA["cases"] if outcome(case) != case["smtp"]]
        self.assertEqual(wrong, [])
