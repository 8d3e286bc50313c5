"""From the gateway's events and the receivers' messages to a finding: a table of cases."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from seg.lab.arrivals import ReceivedMessage
from seg.lab.cases import CASES, Case, ExpectedOutcome, Protection, chosen
from seg.lab.findings import CaseResult, find, mid_of, outcome_of, policy_found
from seg.lab.maillog import LoggedEvent, event_of

CASE = Case(
    name="a",
    what="x",
    outcome=ExpectedOutcome.DELIVERED,
    protection=Protection.ENCRYPTED,
    verified_by="mta-sts",
    why=("mta-sts=enforce",),
)
OPINIONS = {"dane": "none(insecure MX)", "mta-sts": "enforce(id 1, fetched)", "static": "preferred"}


def event(name: str, **fields: Any) -> LoggedEvent:
    """One event as it's read from the log."""
    return event_of(json.dumps({"time": "2026-01-01T00:00:00+00:00", "level": "info", "event": name, **fields}))


def message(tls: str = "TLSv1.3", recipient: str = "bob@a.example") -> ReceivedMessage:
    """A message as a receiver took it."""
    return ReceivedMessage(
        host="mx.a.example",
        reverse_path="alice@sender.example",
        recipients=(recipient,),
        content=b"",
        tls=tls,
        cipher="",
        sni="",
        client="127.0.0.1",
        helo="gateway",
        mail_parameters=(),
        at=0.0,
    )


ACCEPTED = event("recipient_accepted", mid=7, icid=1, rid=0, address="bob@a.example")
EXPLAINED = event(
    "policy_explained",
    mid=7,
    domain="a.example",
    host="mx.a.example",
    opinions=OPINIONS,
    outcome="TLSv1.3 verified by mta-sts",
    result="verified",
    verified_by="mta-sts",
)
DELIVERED = event("recipients_delivered", mid=7, dcid=3, rids=[0], reply="ok")
DELAYED = event(
    "recipient_delayed",
    mid=7,
    rid=0,
    dcid=3,
    enhanced="4.7.5",
    code=0,
    error="peer isn't who it should be",
    remote=[],
)
BOUNCED = event(
    "recipient_bounced",
    mid=7,
    rid=0,
    dcid=3,
    enhanced="5.1.1",
    code=550,
    error="refused",
    remote=["no such user"],
)


class EventTests(SynchronousTestCase):
    """Reading events."""

    def test_event(self) -> None:
        """Time, level and name are taken out; the rest are fields."""
        found = event("listener_started", port=25)
        self.assertEqual((found.time, found.level, found.name), (1767225600.0, "info", "listener_started"))
        self.assertEqual(found["port"], 25)
        self.assertTrue(found.matches("listener_started", {"port": 25}))
        self.assertFalse(found.matches("listener_started", {"port": 26}))

    def test_not_an_event(self) -> None:
        """Another line is an error."""
        with self.assertRaises(ValueError):
            event_of("[]")

    def test_newest_message_counts(self) -> None:
        """The id is that of the newest message to a recipient."""
        again = event("recipient_accepted", mid=9, icid=1, rid=0, address="bob@a.example")
        self.assertEqual(mid_of([ACCEPTED, again], "bob@a.example"), 9)
        self.assertEqual(mid_of([ACCEPTED], "eve@a.example"), 0)

    def test_outcomes(self) -> None:
        """The outcome is the last word on a message; those of others don't count."""
        table = (
            ([], ExpectedOutcome.NOTHING),
            ([DELIVERED], ExpectedOutcome.DELIVERED),
            ([DELAYED], ExpectedOutcome.DEFERRED),
            ([DELAYED, DELIVERED], ExpectedOutcome.DELAYED_THEN_DELIVERED),
            ([BOUNCED], ExpectedOutcome.BOUNCED),
            ([event("recipients_delivered", mid=8)], ExpectedOutcome.NOTHING),
        )
        for events, expected in table:
            self.assertIs(outcome_of(events, 7), expected)

    def test_policy_found(self) -> None:
        """What the providers said, in a few words."""
        table = (
            ({}, "none"),
            (OPINIONS, "MTA-STS enforce"),
            ({"dane": "secure(3 1 1)"}, "DANE"),
            ({"dane": "trusted(3 1 1, insecure MX)", "mta-sts": "testing(id 1)"}, "DANE + MTA-STS testing"),
            ({"dane": "tempfail(TLSA lookup failed: ServFail)"}, "DANE, lookup failed"),
            ({"mta-sts": "refuse(MX not in policy)"}, "MTA-STS enforce"),
            ({"mta-sts": "none(no record)", "static": "required-verify"}, "operator: required-verify"),
            ({"mta-sts": "none(no record)", "static": "preferred"}, "none"),
        )
        for opinions, expected in table:
            self.assertEqual(policy_found(opinions), expected)
        self.assertEqual(policy_found({}, routed=True), "none asked: SMTP route")
        self.assertEqual(policy_found({}, null_mx=True), "takes no mail")


class FindTests(SynchronousTestCase):
    """Findings, and what differs from the expectation."""

    def find(self, *events: LoggedEvent, **options: Any) -> CaseResult:
        """A finding for CASE with one message that arrived, unless told otherwise."""
        options.setdefault("messages", [message()])
        return find(CASE, [ACCEPTED, *events], **options)

    def test_as_expected(self) -> None:
        """A delivery as it should be has all the facts and no difference."""
        found = self.find(EXPLAINED, DELIVERED)
        self.assertTrue(found.ok, found.differences)
        self.assertEqual((found.mid, found.mx, found.tls), (7, "mx.a.example", "TLSv1.3"))
        self.assertEqual((found.policy, found.verified_by), ("MTA-STS enforce", "mta-sts"))
        self.assertEqual(found.why, "TLSv1.3 verified by mta-sts")

    def test_other_outcome(self) -> None:
        """Each fact that isn't as expected is named."""
        found = self.find(DELAYED, messages=[])
        self.assertEqual(
            found.differences,
            (
                "outcome: expected delivered, found deferred",
                "protection: expected encrypted, found not sent",
                "verified by: expected mta-sts, found nobody",
                "not explained: 'mta-sts=enforce'",
            ),
        )
        self.assertEqual(found.why, "4.7.5 peer isn't who it should be")

    def test_clear_text(self) -> None:
        """A message that came in clear isn't as expected, whatever the gateway says."""
        found = self.find(EXPLAINED, DELIVERED, messages=[message(tls="")], envelopes_in_clear=1)
        self.assertIs(found.protection, Protection.CLEAR)
        self.assertIn("sender or recipient were told in clear text", found.differences)

    def test_sides_disagree(self) -> None:
        """A delivery that the receiver doesn't know of, and the reverse, are told; so is a second copy."""
        claimed = self.find(EXPLAINED, DELIVERED, messages=[])
        self.assertIn("the gateway says delivered, but 0 messages arrived", claimed.differences)
        unknown = self.find(EXPLAINED, DELAYED)
        self.assertIn("the gateway says deferred, but 1 messages arrived", unknown.differences)
        twice = self.find(EXPLAINED, DELIVERED, messages=[message(), message()])
        self.assertIn("the message arrived 2 times", twice.differences)

    def test_log_line_wanted(self) -> None:
        """A line that has to be in the mail log is looked for word for word."""
        case = Case("a", "x", ExpectedOutcome.DELIVERED, Protection.ENCRYPTED, "mta-sts", log=("exact words",))
        events = [ACCEPTED, EXPLAINED, DELIVERED]
        self.assertTrue(find(case, events, [message()], log=["Info: exact words."]).ok)
        missing = find(case, events, [message()], log=["Info: other words"])
        self.assertEqual(missing.differences, ("not in the mail log: 'exact words'",))

    def test_why(self) -> None:
        """The reason tells a route, an earlier delay, and what the other server said."""
        routed = self.find(event("route_used", mid=7, domain="a.example", route="relay"), EXPLAINED, DELIVERED)
        self.assertEqual(routed.why, "SMTP route to relay; TLSv1.3 verified by mta-sts")
        later = self.find(DELAYED, EXPLAINED, DELIVERED)
        self.assertEqual(later.why, "first 4.7.5 peer isn't who it should be; then TLSv1.3 verified by mta-sts")
        self.assertEqual(self.find(BOUNCED).why, "5.1.1 refused (550 no such user)")

    def test_words_of_the_connection_count(self) -> None:
        """What was said about the domain, or the connection used, explains too."""
        case = Case("a", "x", ExpectedOutcome.DELIVERED, Protection.ENCRYPTED, "mta-sts", why=("HTTP 404", "odd name"))
        events = [
            ACCEPTED,
            event("sts_fetch_failed", domain="a.example", cause="HTTP 404"),
            event("delivery_tls_started", dcid=3, names=["odd name"]),
            EXPLAINED,
            DELIVERED,
        ]
        self.assertTrue(find(case, events, [message()]).ok)


class CaseTests(SynchronousTestCase):
    """The cases as data."""

    def test_names_are_unique(self) -> None:
        """Every case has a name of its own."""
        names = [case.name for case in CASES]
        self.assertEqual(len(names), len(set(names)))

    def test_choice(self) -> None:
        """Cases are chosen by name; without names all are; an unknown name is an error."""
        self.assertEqual(chosen(()), CASES)
        self.assertEqual([case.name for case in chosen(("dane", "enforce"))], ["dane", "enforce"])
        with self.assertRaises(KeyError):
            chosen(("nothing",))
