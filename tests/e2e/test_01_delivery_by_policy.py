"""A message goes out over the TLS that its destination's policy demands, byte for byte, and the log tells it."""

from __future__ import annotations

import re

from seg.lab.behaviour import Behaviour, Certificate, StartTLS
from seg.lab.world import MX, TLSA, Policy
from tests.e2e.base import MESSAGE, GatewayCase, without_trace

STAMP = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}"

# The specification's delivery that passes: the same lines in the same order, ids, times and addresses aside.
STS_LINES = [
    r"Info: Successfully fetched MTA-STS TXT record for domain\(sts\.example\)",
    r"Info: New SMTP DCID \d+ interface 127\.0\.0\.1 address 127\.[\d.]+ port \d+",
    r"Info: DCID \d+ TLS success protocol TLSv1\.3 cipher TLS_AES_256_GCM_SHA384 subjectAltName:dNSName=mx\.sts\.example group \S+",
    r"Info: MTA-STS policy for the domain \(sts\.example\) Successful\.",
    r"Info: Delivery start DCID \d+ MID \d+ to RID \[0\]",
    r"Info: Message finished MID \d+ done",
]


class DeliveryByPolicyTests(GatewayCase):
    """One case for each policy that authenticates a host."""

    async def test_mta_sts(self) -> None:
        """An enforced policy: TLS 1.3, verified by MTA-STS, the message unaltered below our Received field, golden log lines."""
        await self.internet.add_domain("sts.example", policy=Policy())
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@sts.example", MESSAGE)
        (message,) = await self.internet.wait_for_messages("sts.example")
        trace, content = without_trace(message.content)
        self.assertEqual(content, MESSAGE)
        self.assertRegex(trace.decode(), r"^Received: from client\.lab\.example \(\[?127\.0\.0\.1\]?\)")
        self.assertEqual((message.tls, message.sni), ("TLSv1.3", "mx.sts.example"))
        self.assertEqual((message.reverse_path, message.recipients), ("alice@sender.example", ("bob@sts.example",)))
        await gateway.wait_for_log("Message finished MID 1 done")
        self.assert_in_order(gateway.log_lines(), STS_LINES)
        explained = await gateway.wait_for_event("policy_explained")
        self.assertEqual(explained.fields["outcome"], "TLSv1.3 verified by mta-sts")
        self.assertEqual(self.internet.receivers["mx.sts.example"].envelopes_in_clear, 0)

    async def test_dane(self) -> None:
        """Secure TLSA records: verified by DANE, and MTA-STS isn't even asked."""
        broken = Policy(mx=("elsewhere.example",))
        await self.internet.add_domain(
            "dane.example", mx=[MX("mx.dane.example", tlsa=(TLSA(),))], policy=broken, secure=True
        )
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@dane.example", MESSAGE)
        (message,) = await self.internet.wait_for_messages("dane.example")
        self.assertEqual(without_trace(message.content)[1], MESSAGE)
        self.assertEqual((message.tls, message.sni), ("TLSv1.3", "mx.dane.example"))
        explained = await gateway.wait_for_event("policy_explained")
        self.assertEqual(explained.fields["outcome"], "TLSv1.3 verified by dane")
        await gateway.wait_for_log(r"DANE SUCCESS for dane\.example")
        self.assertEqual(self.internet.nameserver.count("_mta-sts.dane.example", "TXT"), 0)

    async def test_second_message_costs_no_lookup(self) -> None:
        """The policy is fetched once, the TXT question is asked once, and the second message rides on the same connection."""
        await self.internet.add_domain("sts.example", policy=Policy())
        gateway = await self.start_gateway()
        for mid in (1, 2, 3):
            await gateway.inject("alice@sender.example", "bob@sts.example", MESSAGE)
            await gateway.wait_for_event("message_finished", mid=mid)
        self.assertEqual(self.internet.nameserver.count("_mta-sts.sts.example", "TXT"), 1)
        self.assertEqual(self.internet.policy_host.count("sts.example"), 1)
        self.assertEqual(self.internet.sessions("sts.example"), 1)

    async def test_large_message(self) -> None:
        """25 MB arrive byte for byte, over verified TLS."""
        await self.internet.add_domain("sts.example", policy=Policy())
        gateway = await self.start_gateway()
        large = MESSAGE + b".dots and more dots\r\n" * 1_200_000
        await gateway.inject("alice@sender.example", "bob@sts.example", large)
        (message,) = await self.internet.wait_for_messages("sts.example", timeout=40)
        self.assertTrue(without_trace(message.content)[1] == large)

    async def test_hosted_domain(self) -> None:
        """Option 5 fails on a hoster's certificate with the vendor's exact line; option 6 passes."""
        for name in ("five.example", "six.example"):
            await self.internet.add_domain(name, mx=[MX(f"{name[:-8]}.hoster.example")])
        gateway = await self.start_gateway(
            default={"mta_sts": "off", "dane": "none"},
            profiles={
                "five.example": {"tls": "required-verify"},
                "six.example": {"tls": "required-verify-hosted"},
            },
        )
        await gateway.inject("alice@sender.example", ["bob@five.example", "bob@six.example"], MESSAGE)
        await self.internet.wait_for_messages("six.example")
        await gateway.wait_for_log(
            r"Info: DCID \d+ TLS deferring: verify error: peer cert does not match domain five\.example$"
        )
        await gateway.wait_for_log(r"Info: DCID \d+ TLS was required but could not be successfully negotiated$")
        self.assertEqual(self.internet.messages("five.example"), [])

    async def test_clear_retry(self) -> None:
        """TLS Preferred and a server whose handshake fails: one more handshake with classical groups, then one retry in clear, each on a new
        connection, in the same attempt."""
        await self.internet.add_domain(
            "broken.example", mx=[MX("mx.broken.example", behaviour=Behaviour(starttls=StartTLS.CLOSES))]
        )
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@broken.example", MESSAGE)
        (message,) = await self.internet.wait_for_messages("broken.example")
        self.assertEqual(message.tls, "")
        self.assertEqual(self.internet.sessions("broken.example"), 3)

    async def test_required_never_in_clear(self) -> None:
        """TLS Required and the same server: nothing is sent, the message waits."""
        await self.internet.add_domain(
            "broken.example", mx=[MX("mx.broken.example", behaviour=Behaviour(starttls=StartTLS.CLOSES))]
        )
        gateway = await self.start_gateway(profiles={"broken.example": {"tls": "required"}})
        await gateway.inject("alice@sender.example", "bob@broken.example", MESSAGE)
        await gateway.wait_for_event("recipient_delayed", count=2)
        self.assertEqual(self.internet.receivers["mx.broken.example"].envelopes_in_clear, 0)
        self.assertEqual(self.internet.messages("broken.example"), [])

    async def test_testing_mode(self) -> None:
        """A policy in testing mode: the failure is noted, the mail goes."""
        await self.internet.add_domain(
            "testing.example",
            mx=[MX("mx.testing.example", behaviour=Behaviour(certificate=Certificate.SELF_SIGNED))],
            policy=Policy(mode="testing"),
        )
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@testing.example", MESSAGE)
        await self.internet.wait_for_messages("testing.example")
        await gateway.wait_for_log(r"MTA-STS policy for the domain \(testing\.example\) Failed\.")

    def assert_in_order(self, lines: list[str], wanted: list[str]) -> None:
        """Each pattern matches a whole line (behind its stamp), in this order."""
        position = 0
        for pattern in wanted:
            expression = re.compile(f"{STAMP} {pattern}")
            found = next((n for n in range(position, len(lines)) if expression.fullmatch(lines[n])), None)
            self.assertIsNotNone(found, "\n".join([f"no line {pattern!r} behind line {position} of", *lines]))
            assert found is not None
            position = found + 1
