"""Reports about MTA-STS: hosts that aren't in the policy, policies that aren't policies, domains to be left alone."""

from __future__ import annotations

from seg.events.delivery import RouteUsed
from seg.events.policy import STSFetchFailed
from seg.lab.behaviour import Behaviour, Certificate, StartTLS
from seg.lab.world import MX, Policy
from tests.cases.house import CaseTest

ON = {"dane": "none", "mta_sts": "on"}


class STSCases(CaseTest):
    """A4, A6, A9, A10, A24, A26."""

    async def test_a04_certificate_of_the_mx_itself(self) -> None:
        """The MX host has to be in the policy, and its certificate has to name that host: another host that the policy's pattern
        would cover doesn't do, and a host outside the policy isn't connected to, whatever its certificate says."""
        await self.internet.add_domain(
            "covered.example",
            mx=[MX("a.covered.example", names=("b.covered.example",))],
            policy=Policy(mx=("*.covered.example",)),
        )
        await self.internet.add_domain(
            "outside.example",
            mx=[MX("evil.elsewhere.example", names=("a.outside.example",))],
            policy=Policy(mx=("*.outside.example",)),
        )
        self.open(default=ON)
        outcome = await self.attempt("covered.example")
        self.assert_delayed(outcome, "covered.example", "4.7.5", "names wanted: a.covered.example", "b.covered.example")
        self.assert_delayed(await self.attempt("outside.example"), "outside.example", "4.7.5", "MX not in policy")
        self.assertEqual(self.internet.sessions("outside.example"), 0)

    async def test_a06_misspelt_mx(self) -> None:
        """A policy with `nmx:` for `mx:` is no policy: the TLS option decides, the log says why, and it isn't fetched again at once."""
        text = "version: STSv1\nmode: enforce\nnmx: mx.a6.example\nmax_age: 86400\n"
        await self.internet.add_domain("a6.example", policy=Policy(text=text))
        self.open(default=ON)
        self.assert_delivered(await self.attempt("a6.example"), "a6.example")
        self.assertIn("mta-sts=none(policy fetch failed: invalid-policy)", self.explained("a6.example")[0])
        await self.attempt("a6.example")
        self.assertIn("mta-sts=none(policy fetch failed lately)", self.explained("a6.example")[1])
        (failure,) = self.sink.of(STSFetchFailed)
        self.assertIn("mx", failure.cause)

    async def test_a09_smtp_route(self) -> None:
        """A domain with an enforced policy and an SMTP route goes by the route; the log says that MTA-STS wasn't applied."""
        await self.internet.add_domain("a9.example", policy=Policy(mx=("nowhere.example",)))
        relay = await self.internet.add_receiver(
            MX("relay.inside.example", behaviour=Behaviour(starttls=StartTLS.ABSENT))
        )
        self.open(default=ON, routes={"a9.example": [f"{relay.address}:{self.internet.port}"]})
        self.assert_delivered(await self.attempt("a9.example"), "a9.example", host="relay.inside.example", tls=False)
        (used,) = self.sink.of(RouteUsed)
        self.assertEqual(used.domain, "a9.example")
        self.assertIn("mta-sts=none(SMTP route)", self.explained("a9.example")[0])

    async def test_a10_starttls_502(self) -> None:
        """A middlebox that answers 502 to STARTTLS under an enforced policy: the mail waits and is tried again, it isn't returned."""
        behaviour = Behaviour(starttls=StartTLS.REFUSED_502)
        await self.internet.add_domain("a10.example", mx=[MX("mx.a10.example", behaviour=behaviour)], policy=Policy())
        self.open(default=ON)
        for _ in range(2):
            self.assert_delayed(await self.attempt("a10.example"), "a10.example", "4.7.4", "(mta-sts)", "STARTTLS")

    async def test_a24_switched_off_for_one_domain(self) -> None:
        """A domain whose policy is broken can be left out by itself; the others keep theirs."""
        wrong = Behaviour(certificate=Certificate.OTHER_NAME)
        for name in ("off.example", "on.example"):
            await self.internet.add_domain(name, mx=[MX(f"mx.{name}", behaviour=wrong)], policy=Policy())
        self.open(default=ON, profiles={"off.example": {"mta_sts": "off"}})
        self.assert_delivered(await self.attempt("off.example"), "off.example")
        self.assertIn("mta-sts=none(switched off)", self.explained("off.example")[0])
        self.assert_delayed(await self.attempt("on.example"), "on.example", "4.7.5")

    async def test_a26_server_name(self) -> None:
        """The name of the MX host is sent as SNI, so that a server with many certificates shows the right one."""
        await self.internet.add_domain("a26.example", policy=Policy())
        self.open(default=ON)
        self.assert_delivered(await self.attempt("a26.example"), "a26.example", tls=True)
        (message,) = self.internet.messages("a26.example")
        self.assertEqual(message.sni, "mx.a26.example")
