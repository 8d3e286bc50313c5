"""What a lab of real servers says, in our words, and the other way round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import DANEMode, STSMode, TLSOption
from seg.config.load import parse_destinations, parse_settings
from seg.lab.maillog import LoggedEvent
from tests.lab.acceptance import LabCommand, LabError, fates_of, gateway_configuration

ENVIRONMENT = {
    "ca_file": "/lab/root.pem",
    "resolver": "127.0.0.1:5300",
    "policy_proxy": "http://127.77.8.1:3128",
    "retry_interval_s": 10,
    "smtp_timeout_s": 20,
    "policy_fetch_timeout_s": 20,
}


def told(*controls: dict[str, Any]) -> dict[str, Any]:
    """What ``lab.py config`` says."""
    return {"environment": ENVIRONMENT, "destination_controls": list(controls)}


def control(domain: str = "a.test", **changes: Any) -> dict[str, Any]:
    """One profile of the lab."""
    return {"domain": domain, "tls": 3, "dane": "mandatory", "mta_sts": "on", "smtp_route": None, **changes}


class GatewayConfigurationTests(SynchronousTestCase):
    """From the lab's JSON to our files."""

    def test_profiles(self) -> None:
        """TLS option, DANE and MTA-STS of each domain are taken over; whatever the lab doesn't name has only option 2."""
        files = gateway_configuration(told(control()), 2525)
        destinations = parse_destinations(files.destinations_toml)
        profile = destinations.profile("a.test")
        self.assertEqual(
            (profile.tls, profile.dane, profile.mta_sts), (TLSOption.REQUIRED, DANEMode.MANDATORY, STSMode.ON)
        )
        other = destinations.profile("b.test")
        self.assertEqual((other.tls, other.dane, other.mta_sts), (TLSOption.PREFERRED, DANEMode.NONE, STSMode.OFF))

    def test_environment(self) -> None:
        """Roots, resolver, proxy and times are the lab's; loopback addresses may be delivered to."""
        settings = parse_settings(gateway_configuration(told(control()), 2525).seg_toml)
        self.assertEqual(settings.tls.ca_file, "/lab/root.pem")
        self.assertEqual(settings.dns.resolvers, ("127.0.0.1:5300",))
        self.assertEqual(settings.mta_sts.proxy, "http://127.77.8.1:3128")
        self.assertEqual((settings.queue.first_retry, settings.delivery.command_timeout), (10, 20))
        self.assertTrue(settings.delivery.allow_loopback)

    def test_route(self) -> None:
        """An SMTP route may be one host or several."""
        files = gateway_configuration(
            told(control(smtp_route="127.77.2.1"), control("b.test", smtp_route=["mx.test", "127.77.2.2"])), 2525
        )
        destinations = parse_destinations(files.destinations_toml)
        for domain, hosts in (("a.test", ["127.77.2.1"]), ("b.test", ["mx.test", "127.77.2.2"])):
            route = destinations.route(domain)
            assert route is not None
            self.assertEqual([hop.host for hop in route.hops], hosts)

    def test_same_profile_twice(self) -> None:
        """The steps of a scenario share a domain; two different profiles for one domain are an error."""
        gateway_configuration(told(control(), control()), 2525)
        with self.assertRaises(LabError):
            gateway_configuration(told(control(), control(tls=2)), 2525)

    def test_unknown_setting(self) -> None:
        """A setting without a counterpart isn't passed over."""
        with self.assertRaises(LabError) as caught:
            gateway_configuration(told(control(colour="blue")), 2525)
        self.assertIn("colour", str(caught.exception))


def event(name: str, **fields: Any) -> LoggedEvent:
    """One line of the JSON twin."""
    return LoggedEvent(0.0, "info", name, fields)


class FatesTests(SynchronousTestCase):
    """What became of the recipients, by our events."""

    def test_last_word_counts(self) -> None:
        """Deferred, then delivered: delivered. Each recipient on its own; reports of our own aren't looked at."""
        events = [
            *(event("recipient_accepted", mid=1, rid=rid, address=f"R{rid}@a.test") for rid in range(4)),
            event("recipient_delayed", mid=1, rid=0),
            event("recipient_delayed", mid=1, rid=3),
            event("recipient_bounced", mid=1, rid=2),
            event("recipients_delivered", mid=1, rids=[0, 1]),
            event("recipients_delivered", mid=2, rids=[0]),
        ]
        expected = {
            "r0@a.test": "delivered",
            "r1@a.test": "delivered",
            "r2@a.test": "bounced",
            "r3@a.test": "deferred",
        }
        self.assertEqual(fates_of(events), expected)


class LabCommandTests(SynchronousTestCase):
    """A lab that is only a folder with three files."""

    def lab(self, body: str) -> LabCommand:
        """A lab whose ``lab.py`` has this body."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "state").mkdir()
        (folder / "lab.py").write_text(body)
        (folder / "cases.json").write_text(json.dumps({"cases": [{"id": "one", "rcpts": ["R@a.test"]}]}))
        (folder / "adapter.py").write_text("def results(text, cases):\n return {'one': {'log': text.splitlines()}}\n")
        return LabCommand(folder, folder / "state")

    def test_verdict(self) -> None:
        """The counts are read from the last line; fail and unproven mean that it hasn't passed."""
        for counts, passed in (
            ({"pass": 2, "skip": 1}, True),
            ({"pass": 2, "fail": 1}, False),
            ({"unproven": 1}, False),
        ):
            verdict = self.lab(f"print('FAIL x: y'); print({counts!r})").check("run", {}, ())
            self.assertEqual((verdict.counts, verdict.passed), (counts, passed))
            self.assertIn("FAIL x: y", verdict.report)

    def test_broken_check(self) -> None:
        """A check without counts is an error with what it said."""
        with self.assertRaises(LabError) as caught:
            self.lab("raise SystemExit('no such thing')").check("run", {}, ())
        self.assertIn("no such thing", str(caught.exception))

    def test_failing_command(self) -> None:
        """So is a command that fails."""
        with self.assertRaises(LabError) as caught:
            self.lab("print('port 25 is taken'); raise SystemExit(1)").run("up")
        self.assertIn("port 25 is taken", str(caught.exception))

    def test_results(self) -> None:
        """The lab sorts the lines, our events say what became of the recipients."""
        events = [
            event("recipient_accepted", mid=1, rid=0, address="r@A.test"),
            event("recipient_bounced", mid=1, rid=0),
        ]
        results = self.lab("").results(["a line"], events)
        self.assertEqual(results, {"one": {"log": ["a line"], "rcpts": {"R@a.test": "bounced"}}})
