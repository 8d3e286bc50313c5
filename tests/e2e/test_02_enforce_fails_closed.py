"""An enforced policy that can't be satisfied: the message waits, nothing goes in clear, and in the end its sender is told."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

from seg.lab.behaviour import Behaviour, Certificate, StartTLS
from seg.lab.world import MX, TLSA, Policy
from tests.e2e.base import MESSAGE, GatewayCase

BRIEF = {"queue": {"first_retry": 1.0, "max_retry": 1.0, "lifetime": 3.0, "jitter": 0.0}}


class EnforceFailsClosedTests(GatewayCase):
    """What must never be delivered, isn't."""

    async def test_wrong_certificate(self) -> None:
        """Certificate for another name: deferred, never in clear, returned with a report that names policy and fault."""
        await self.internet.add_domain("sender.example")
        await self.internet.add_domain(
            "enforced.example",
            mx=[MX("mx.enforced.example", behaviour=Behaviour(certificate=Certificate.OTHER_NAME))],
            policy=Policy(),
        )
        gateway = await self.start_gateway(settings=BRIEF)
        await gateway.inject("alice@sender.example", "bob@enforced.example", MESSAGE)
        await gateway.wait_for_log(r"Delayed: DCID \d+ MID 1 .*4\.7\.5")
        (report,) = await self.internet.wait_for_messages("sender.example", timeout=15)
        self.assertEqual((report.reverse_path, report.recipients), ("", ("alice@sender.example",)))
        parsed = message_from_bytes(report.content, policy=default)
        self.assertEqual(parsed.get_content_type(), "multipart/report")
        text, status, original = parsed.iter_parts()
        self.assertIn("mta-sts", text.get_content())
        self.assertIn("mx.enforced.example", text.get_content())
        self.assertIn("Action: failed", status.as_string())
        self.assertIn("Status: 5.", status.as_string())
        self.assertIn("Subject: end to end", original.as_string())
        self.assertEqual(self.internet.messages("enforced.example"), [])
        receiver = self.internet.receivers["mx.enforced.example"]
        self.assertEqual(receiver.envelopes_in_clear, 0)
        self.assertNotIn("MAIL", [verb for session in receiver.sessions for verb in session.verbs])
        await gateway.wait_for_log(r"Bounced: .*5\.4\.7")

    async def test_starttls_stripped(self) -> None:
        """No STARTTLS in the EHLO reply: nothing of the envelope is said, the message waits."""
        await self.internet.add_domain(
            "stripped.example",
            mx=[MX("mx.stripped.example", behaviour=Behaviour(starttls=StartTLS.ABSENT))],
            policy=Policy(),
        )
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@stripped.example", MESSAGE)
        await gateway.wait_for_log(r"TLS was required but could not be successfully negotiated")
        await gateway.wait_for_event("recipient_delayed", count=2)
        self.assertEqual(self.internet.receivers["mx.stripped.example"].envelopes_in_clear, 0)
        self.assertEqual(self.internet.messages("stripped.example"), [])

    async def test_mx_not_in_policy(self) -> None:
        """A host that the policy doesn't name isn't even connected to."""
        await self.internet.add_domain("foreign.example", policy=Policy(mx=("other.example",)))
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@foreign.example", MESSAGE)
        await gateway.wait_for_event("recipient_delayed")
        self.assertEqual(self.internet.sessions("foreign.example"), 0)

    async def test_dane_mismatch_beats_valid_policy(self) -> None:
        """A TLSA record for another key is final for the host: a valid MTA-STS policy can't rescue it."""
        await self.internet.add_domain(
            "stale.example", mx=[MX("mx.stale.example", tlsa=(TLSA(wrong=True),))], policy=Policy(), secure=True
        )
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@stale.example", MESSAGE)
        await gateway.wait_for_event("recipient_delayed")
        self.assertEqual(self.internet.messages("stale.example"), [])
        await gateway.wait_for_log(r"DANE FAILED for stale\.example")

    async def test_null_mx(self) -> None:
        """A domain that takes no mail: returned at once, with 5.1.10; a second report is never made for a report."""
        await self.internet.add_domain("sender.example", null_mx=True)
        await self.internet.add_domain("nomail.example", null_mx=True)
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@nomail.example", MESSAGE)
        await gateway.wait_for_log(r"Bounced: DCID 0 MID 1 .*5\.1\.10")
        await gateway.wait_for_log(r"Double bounce: MID 2 ")
        await gateway.wait_for_log(r"Message finished MID 2 ")
        self.assertEqual((await self.seg_json("status"))["queue"]["messages"], 0)
