"""Content beyond ASCII at hosts with and without 8BITMIME, on real connections."""

from __future__ import annotations

from email import message_from_bytes, policy

from seg.lab.behaviour import Behaviour
from seg.lab.world import MX
from seg.mail.envelope import BodyType
from seg.mail.outcome import Bounced
from tests.cases.house import CaseTest

PLAIN = {"dane": "none", "mta_sts": "off"}
EIGHT = "Subject: x\r\n\r\nGrüße aus Köln\r\n".encode()


class EightBitCases(CaseTest):
    """M6, and the conversion of RFC 6152 §3."""

    async def test_conversion(self) -> None:
        """A host without 8BITMIME gets quoted-printable, small and large, with and without PIPELINING; one with it gets the octets, labelled,
        whatever the client said."""
        old = Behaviour(extensions=("PIPELINING", "SIZE 52428800"))
        for name, behaviour in (("old", old), ("slow", old.without_pipelining), ("new", Behaviour())):
            await self.internet.add_domain(f"{name}.example", mx=[MX(f"mx.{name}.example", behaviour=behaviour)])
        self.open(default=PLAIN)
        for said in BodyType:
            self.wishes["body"] = said
            for content in (EIGHT, EIGHT * 10_000)[
                : 1 if said is BodyType.SEVEN_BIT else 2
            ]:  # large content was looked at by the queue
                for name in ("old", "slow", "new"):
                    before = len(self.internet.messages(f"{name}.example"))
                    outcome = await self.attempt(f"{name}.example", content=content)
                    messages = self.internet.messages(f"{name}.example")
                    self.assertEqual(len(messages), before + 1, outcome)
                    message = messages[-1]
                    if name == "new":
                        self.assertEqual(message.content, content)
                        self.assertIn("BODY=8BITMIME", message.mail_parameters)
                        continue
                    self.assertTrue(message.content.isascii())
                    self.assertEqual([word for word in message.mail_parameters if word.startswith("BODY")], [])
                    self.assertIn(f"SIZE={len(message.content)}", message.mail_parameters)
                    read = message_from_bytes(message.content, policy=policy.SMTP)
                    self.assertEqual(read.get_payload(decode=True), content.partition(b"\r\n\r\n")[2])

    async def test_ascii(self) -> None:
        """What is ASCII by its octets goes as it is, whatever the client said."""
        await self.internet.add_domain("old.example", mx=[MX("mx.old.example", behaviour=Behaviour(extensions=()))])
        self.open(default=PLAIN)
        self.wishes["body"] = BodyType.EIGHT_BIT
        self.assert_delivered(await self.attempt("old.example"), "old.example")

    async def test_signed(self) -> None:
        """What is signed is returned with the reason; so is everything where the operator wants no conversion."""
        await self.internet.add_domain("old.example", mx=[MX("mx.old.example", behaviour=Behaviour(extensions=()))])
        self.open(default=PLAIN)
        outcome = await self.attempt("old.example", content=b"DKIM-Signature: x\r\n" + EIGHT)
        self.assert_bounced(outcome, "5.6.3")
        assert isinstance(outcome, Bounced)
        self.assertIn("it is signed (DKIM-Signature)", outcome.error.text)
        await self.pool.close()
        self.open(default=PLAIN, settings={"delivery": {"convert_8bit": False}})
        self.assert_bounced(await self.attempt("old.example", content=EIGHT), "5.6.3")
        self.assertEqual(self.internet.messages("old.example"), [])
