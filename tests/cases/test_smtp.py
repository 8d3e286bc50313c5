"""Reports about servers that break the rules: each hurts one attempt and nothing else."""

from __future__ import annotations

from seg.lab.behaviour import Behaviour, StartTLS, TLSVersions
from seg.lab.world import MX
from seg.mail.outcome import Delayed
from tests.cases.house import CaseTest

PLAIN = {"dane": "none", "mta_sts": "off"}


class SMTPCases(CaseTest):
    """A13, A14, A16, A23."""

    async def test_a13_null_reverse_path(self) -> None:
        """A report goes out with MAIL FROM:<>."""
        await self.internet.add_domain("a13.example")
        self.open(default=PLAIN)
        self.assert_delivered(await self.attempt("a13.example", sender=""), "a13.example")
        self.assertEqual(self.internet.messages("a13.example")[0].reverse_path, "")

    async def test_a14_old_tls(self) -> None:
        """Old TLS, garbage, silence: where TLS is preferred the mail goes in clear on a new connection, where it is required it waits;
        a hundred other messages sent meanwhile all arrive."""
        await self.internet.add_domain("good.example")
        bad = {
            "old": Behaviour(versions=TLSVersions.ONLY_1_1),
            "garbage": Behaviour(starttls=StartTLS.GARBAGE),
            "closes": Behaviour(starttls=StartTLS.CLOSES),
            "hangs": Behaviour(starttls=StartTLS.HANGS),
        }
        profiles = {}
        for kind, behaviour in bad.items():
            for level in ("preferred", "required"):
                name = f"{kind}.{level}.example"
                profiles[name] = {"tls": level}
                await self.internet.add_domain(name, mx=[MX(f"mx.{name}", behaviour=behaviour)])
        self.open(default=PLAIN, profiles=profiles, settings={"delivery": {"tls_timeout": 1.0}})
        outcomes = await self.attempts(*profiles, *["good.example"] * 100)
        self.assertEqual(len(self.internet.messages("good.example")), 100)
        for name, outcome in zip(profiles, outcomes, strict=False):
            if "preferred" in name:
                self.assert_delivered(outcome, name, tls=False)
            else:
                self.assert_delayed(outcome, name, "4.7.4")

    async def test_injected_reply(self) -> None:
        """A reply behind the 220 of STARTTLS is tampering: at every option that allows TLS the message waits for its next try, with one
        connection made; nothing goes in clear text, not to the next host either. Without TLS it isn't met."""
        levels = ("no", "preferred", "required", "preferred-verify", "required-verify", "required-verify-hosted")
        for level in levels:
            hosts = [
                MX(f"mx1.{level}.example", 10, behaviour=Behaviour(starttls=StartTLS.INJECTS)),
                MX(f"mx2.{level}.example", 20, behaviour=Behaviour(starttls=StartTLS.ABSENT)),
            ]
            await self.internet.add_domain(f"{level}.example", mx=hosts)
        self.open(default=PLAIN, profiles={f"{level}.example": {"tls": level} for level in levels})
        for level in levels:
            name = f"{level}.example"
            outcome = await self.attempt(name)
            if level == "no":
                self.assert_delivered(outcome, name, host=f"mx1.{name}", tls=False)
                continue
            self.assert_delayed(outcome, name, "4.7.0", "Plaintext behind the reply to STARTTLS")
            sessions = [len(receiver.sessions) for receiver in self.internet.domains[name].receivers]
            self.assertEqual(sessions, [1, 0], level)

    async def test_post_quantum_intolerance(self) -> None:
        """A host, or a device before it, that mishandles a hello with a post-quantum group gets one with classical groups on a new
        connection, before clear text and before a refusal; for a day it gets no other one."""
        profiles = {}
        for behaviour in (StartTLS.CLASSICAL_HANGS, StartTLS.CLASSICAL_CLOSES):
            for level in ("preferred", "required", "required-verify"):
                name = f"{behaviour.name.lower().replace('_', '-')}.{level}.example"
                profiles[name] = {"tls": level}
                host = MX(f"mx.{name}", behaviour=Behaviour(starttls=behaviour))
                await self.internet.add_domain(name, mx=[host])
        self.open(default=PLAIN, profiles=profiles, settings={"delivery": {"tls_timeout": 0.5}})
        for name in profiles:
            outcome = await self.attempt(name)
            if "verify" in name:  # nobody vouches for the certificate of the lab for this name: judged, not failed
                self.assertNotIn("handshake", str(outcome))
            else:
                self.assert_delivered(outcome, name, tls=True)
            self.assertEqual(self.internet.sessions(name), 2)
            await self.attempt(name)
            # A refused host is connected to anew, and only once: the offer that it mishandles isn't made again.
            self.assertEqual(self.internet.sessions(name), 3 if "verify" in name else 2)

    async def test_a16_421_within_data(self) -> None:
        """421 in the middle of the content, then the end of the connection: passing, and the next host is tried."""
        closes = Behaviour(closes_in_data=3000)
        await self.internet.add_domain("alone.example", mx=[MX("mx.alone.example", behaviour=closes)])
        await self.internet.add_domain(
            "both.example", mx=[MX("mx1.both.example", 10, behaviour=closes), MX("mx2.both.example", 20)]
        )
        self.open(default=PLAIN)
        content = b"Subject: long\r\n\r\n" + b"x" * 70 * 10 + b"\r\n" + (b"y" * 70 + b"\r\n") * 2000
        outcome = await self.attempt("alone.example", content=content)
        self.assertIsInstance(outcome, Delayed)
        self.assert_delivered(
            await self.attempt("both.example", content=content), "both.example", host="mx2.both.example"
        )

    async def test_a23_handshake_eof(self) -> None:
        """The server closes within the handshake: a second connection offers classical groups only; then option 2 sends in clear on
        a third one, option 3 waits."""
        closes = Behaviour(starttls=StartTLS.CLOSES)
        for name in ("two.example", "three.example"):
            await self.internet.add_domain(name, mx=[MX(f"mx.{name}", behaviour=closes)])
        self.open(default=PLAIN, profiles={"three.example": {"tls": "required"}})
        self.assert_delivered(await self.attempt("two.example"), "two.example", tls=False)
        self.assertEqual(self.internet.sessions("two.example"), 3)
        self.assert_delayed(await self.attempt("three.example"), "three.example", "4.7.4")
