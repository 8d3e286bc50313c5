"""The double of the resolver keeps the contract of `IResolver`."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.dns.answer import AnswerStatus, DNSAnswer, DNSFailure, FailureKind
from seg.dns.interfaces import IResolver
from tests.dns_double import FakeResolver

ZONE = """
    one.test      MX     10 mx.one.test
    one.test      MX     20 mx.two.test.
    mx.one.test   60 A   192.0.2.1
    alias.test    CNAME  mx.one.test         ; a comment
    loop.test     CNAME  loop.test
    empty.test                               ; exists, holds nothing
    text.test     TXT    "v=STSv1; id=1;"
"""


class FakeResolverTests(SynchronousTestCase):
    """`tests.dns_double.FakeResolver`."""

    def setUp(self) -> None:
        self.resolver = FakeResolver(ZONE, secure=["one.test"], insecure=["mx.one.test"])

    def ask(self, name: str, rdtype: str) -> DNSAnswer:
        """What is answered at once."""
        return self.successResultOf(Deferred.fromCoroutine(self.resolver.query(name, rdtype)))

    def test_interface(self) -> None:
        """It provides IResolver."""
        verifyObject(IResolver, self.resolver)

    def test_found(self) -> None:
        """Records come with their security; names compare without case and last dot; questions are kept."""
        answer = self.ask("One.Test.", "MX")
        self.assertEqual([r.to_text() for r in answer.records], ["10 mx.one.test.", "20 mx.two.test."])
        self.assertEqual((answer.name, answer.canonical, answer.secure), ("one.test", "one.test", True))
        self.assertFalse(self.ask("mx.one.test", "A").secure)
        self.assertEqual(self.resolver.questions, [("one.test", "MX"), ("mx.one.test", "A")])

    def test_alias(self) -> None:
        """A CNAME is followed; the lowest TTL counts; secure is what all steps are; a loop fails."""
        answer = self.ask("alias.test", "A")
        self.assertEqual((answer.canonical, answer.ttl, answer.secure), ("mx.one.test", 60.0, False))
        self.assertTrue(self.ask("alias.test", "CNAME").found)
        self.failureResultOf(Deferred.fromCoroutine(self.resolver.query("loop.test", "A")), DNSFailure)

    def test_denials(self) -> None:
        """A name without the type is NODATA, a name with nothing at or below it is NXDOMAIN."""
        self.assertIs(self.ask("empty.test", "A").status, AnswerStatus.NO_DATA)
        self.assertIs(self.ask("test", "A").status, AnswerStatus.NO_DATA)
        self.assertIs(self.ask("none.test", "A").status, AnswerStatus.NO_NAME)

    def test_failures(self) -> None:
        """A question fails by the kind named until it is mended."""
        self.resolver.fail("one.test", "*", FailureKind.TIMEOUT)
        failure = self.failureResultOf(Deferred.fromCoroutine(self.resolver.query("one.test", "MX")), DNSFailure)
        self.assertIs(failure.value.kind, FailureKind.TIMEOUT)
        self.resolver.mend("one.test", "*")
        self.assertTrue(self.ask("one.test", "MX").found)

    def test_hold(self) -> None:
        """A held question waits for its release."""
        self.resolver.hold("one.test", "MX")
        waiting = Deferred.fromCoroutine(self.resolver.query("one.test", "MX"))
        self.assertNoResult(waiting)
        self.resolver.release("one.test", "MX")
        self.assertTrue(self.successResultOf(waiting).found)

    def test_character_strings(self) -> None:
        """A TXT record keeps its quoted text, semicolons included."""
        self.assertEqual(self.ask("text.test", "TXT").records[0].to_text(), '"v=STSv1; id=1;"')
