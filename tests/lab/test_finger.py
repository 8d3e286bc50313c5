"""Reading what ``posttls-finger`` and ``seg daneverify`` say of the same hosts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.lab.finger import Comparison, finger_verdicts, our_verdicts

SAID = """\
posttls-finger: mx1.a.test[127.0.0.1]:25: Matched DANE EE certificate at depth 0: 3 1 1 23
posttls-finger: Verified TLS connection established to mx1.a.test[127.0.0.1]:25: TLSv1.3 with cipher x
posttls-finger: mx2.a.test[127.0.0.2]:25: Matched DANE EE certificate at depth 0: 3 1 1 24
posttls-finger: Trusted TLS connection established to mx2.a.test[127.0.0.2]:25: TLSv1.3 with cipher x
posttls-finger: mx3.a.test[127.0.0.3]:25: matched peername: mx3.a.test
posttls-finger: Verified TLS connection established to mx3.a.test[127.0.0.3]:25: TLSv1.3 with cipher x
posttls-finger: Untrusted TLS connection established to mx4.a.test[127.0.0.4]:25: TLSv1.3 with cipher x
"""


class FingerTests(SynchronousTestCase):
    """Both readings."""

    def test_finger(self) -> None:
        """Verified by DANE is a match that is called verified: not trusted, nor verified by the web PKI."""
        expected = {"mx1.a.test": True, "mx2.a.test": False, "mx3.a.test": False, "mx4.a.test": False}
        self.assertEqual(finger_verdicts(SAID), expected)

    def test_ours(self) -> None:
        """A host counts as verified when a session with it satisfied DANE."""
        dane = {"ok": True, "matched": [{"policy": "dane", "what": "TLSA 3 1 1"}]}
        hosts = [
            {"name": "a", "tried": [{"verdict": None}, {"verdict": dane}]},
            {"name": "b", "tried": [{"verdict": {"ok": False, "matched": []}}]},
            {"name": "c", "tried": []},
        ]
        self.assertEqual(our_verdicts({"hosts": hosts}), {"a": True, "b": False, "c": False})

    def test_text(self) -> None:
        """Each difference is a line, the counts come last."""
        self.assertEqual(
            Comparison(3, ("a.test mx: ...",)).text, "a.test mx: ...\nposttls-finger: 3 hosts judged alike, 1 otherwise"
        )
