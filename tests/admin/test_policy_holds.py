"""What TLS policy keeps waiting: from an attempt's outcome to the API, over restarts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.policy_holds import PolicyHoldRoutes
from seg.admin.wire.operations import LIST_MESSAGES
from seg.config.schema import QueueSettings
from seg.mail.causes import CauseKind
from seg.mail.envelope import MOST_REFUSALS, HostRefusal
from seg.mail.errors import Temporary
from seg.mail.outcome import Delayed, Delivered
from seg.queue.codec import SpoolFileError, decode, encode
from tests.admin.asking import ask
from tests.admin.test_openapi import document
from tests.queue.house import HouseCase

WAIT = Temporary("4.7.5", "any text")
TLSA = HostRefusal("mx.broken.example", CauseKind.TLSA_NO_MATCH)
MX = HostRefusal("mx.forged.example", CauseKind.MX_NOT_IN_POLICY)


class PolicyHoldsCase(HouseCase):
    """A queue with its API."""

    def held(self, **query: str) -> dict[str, Any]:
        """The API's answer; the spool's own clock lets it go on."""
        api = PolicyHoldRoutes(self.house.commands, self.house.clock.seconds)
        facts: Any = self.successResultOf(Deferred.fromCoroutine(ask(api, "GET", "/v1/held-by-policy", query)))
        found = document()
        schema = {"$ref": "#/components/schemas/HeldByPolicy", "components": found["components"]}
        Draft202012Validator(schema).validate(facts)
        return facts

    def put_off(self, address: str, *refusals: HostRefusal) -> int:
        """A message of which the first try ended like that."""
        mid = self.house.put(address)
        self.house.attempt(address.partition("@")[2], Delayed(WAIT, refusals=refusals))
        return mid


class PolicyHoldsTests(PolicyHoldsCase):
    """`PolicyHoldRoutes`, and what the queue remembers for it."""

    def test_a_domain_a_row(self) -> None:
        """Since when, causes, hosts, messages, next try and return; what waits for other reasons isn't in it."""
        begin = self.house.clock.seconds()
        self.put_off("a@broken.example", TLSA)
        self.put_off("b@broken.example", TLSA)
        self.put_off("c@slow.example")
        self.house.clock.advance(10)
        self.put_off("d@forged.example", MX)
        facts = self.held()
        self.assertEqual([row["domain"] for row in facts["domains"]], ["broken.example", "forged.example"])
        row = facts["domains"][0]
        self.assertEqual((row["since"], row["messages"], row["recipients"]), (begin, 2, 2))
        self.assertEqual(row["hosts"], [{"host": "mx.broken.example", "cause": "tlsa-no-match"}])
        self.assertEqual([(each["cause"], each["recipients"]) for each in row["causes"]], [("tlsa-no-match", 2)])
        self.assertEqual((row["next"], row["returned"]), (begin + 60, begin + QueueSettings().lifetime))
        self.assertEqual([row["domain"] for row in self.held(domain="Forged.example")["domains"]], ["forged.example"])
        self.assertEqual((self.held(limit="1")["total"], len(self.held(limit="1")["domains"])), (2, 1))

    def test_counted(self) -> None:
        """Messages by cause are known without a look at each, and go to nothing with the messages."""
        mids = [self.put_off("a@broken.example", TLSA, MX), self.put_off("b@broken.example", TLSA)]
        self.assertEqual(self.house.commands.causes(), {CauseKind.TLSA_NO_MATCH: 2, CauseKind.MX_NOT_IN_POLICY: 1})
        self.assertEqual(self.house.commands.counts().policy_held, 2)
        self.assertEqual(self.house.commands.policy_held(), mids)
        listing = self.house.commands.listing(mids[0])
        assert listing is not None
        self.assertEqual(listing.causes, (CauseKind.MX_NOT_IN_POLICY, CauseKind.TLSA_NO_MATCH))
        self.house.commands.delete(mids[0], "root")
        self.house.clock.advance(100)
        self.house.attempt("broken.example", Delivered(1, "ok"))
        self.assertEqual((dict(self.house.commands.causes()), self.house.commands.policy_held()), ({}, []))

    def test_since(self) -> None:
        """The time of the first of all tries that ended there in a row; another end takes the message out."""
        begin = self.house.clock.seconds()
        self.put_off("a@broken.example", TLSA)
        self.house.clock.advance(100)
        self.house.attempt("broken.example", Delayed(WAIT, refusals=(MX,)))
        row = self.held()["domains"][0]
        self.assertEqual((row["since"], row["hosts"][0]["cause"]), (begin, "mx-not-in-policy"))
        self.house.clock.advance(1000)
        self.house.attempt("broken.example", Delayed(WAIT))
        self.assertEqual(self.held()["domains"], [])

    def test_restart(self) -> None:
        """It outlasts a restart; a message held by an operator besides has no next try."""
        self.put_off("a@broken.example", TLSA)
        before = self.held()["domains"]
        self.restart()
        self.assertEqual(self.held()["domains"], before)
        self.house.commands.hold(self.house.commands.policy_held()[0], "root")
        self.assertIsNone(self.held()["domains"][0]["next"])

    def test_many_hosts(self) -> None:
        """However many hosts the domain has: a row names few of them."""
        for number in range(10):
            self.put_off("a@broken.example", HostRefusal(f"mx{number}.example", CauseKind.TLS_NOT_OFFERED))
        self.assertEqual(len(self.held()["domains"][0]["hosts"]), MOST_REFUSALS)


class SpoolFileTests(HouseCase):
    """The field in spool files."""

    def line(self) -> dict[str, Any]:
        """The envelope line of a message with it."""
        mid = self.house.put("a@broken.example")
        self.house.attempt("broken.example", Delayed(WAIT, refusals=(TLSA,)))
        file = next(Path(self.root, "cur").rglob("*.env"))
        line: dict[str, Any] = json.loads(file.read_bytes())
        self.assertEqual(line["mid"], mid)
        return line

    def test_old_and_new(self) -> None:
        """A line without it is read; a cause that only a newer version knows is "other", and no damage."""
        line = self.line()
        entry = line["to"][0]
        self.assertEqual(entry["policy"]["hosts"], [["mx.broken.example", "tlsa-no-match"]])
        for hosts, causes in (([["mx", "from-the-future"]], [CauseKind.OTHER]), ([], [])):
            entry["policy"]["hosts"] = hosts
            stored = decode(json.dumps(line).encode() + b"\n")
            hold = stored.envelope.recipients[0].policy
            assert hold is not None
            self.assertEqual([refusal.cause for refusal in hold.refusals], causes)
            self.assertEqual(decode(encode(stored.envelope)).envelope, stored.envelope)
        del entry["policy"]
        self.assertIsNone(decode(json.dumps(line).encode() + b"\n").envelope.recipients[0].policy)

    def test_damaged(self) -> None:
        """What can't be such a field is damage, and never a traceback."""
        line = self.line()
        for wrong in (None, 1, "x", [], {}, {"since": 1}, {"since": "x", "hosts": []}, {"since": 1, "hosts": [["a"]]},
                      {"since": 1, "hosts": [[1, 2]]}, {"since": 1, "hosts": "ab"}):  # fmt: skip
            line["to"][0]["policy"] = wrong
            self.assertRaises(SpoolFileError, decode, json.dumps(line).encode() + b"\n")


class FilterTests(SynchronousTestCase):
    """``queue list --cause``."""

    def test_unknown_cause(self) -> None:
        """A cause that there isn't is refused, with those that there are."""
        error = self.assertRaises(ValueError, LIST_MESSAGES.asked, {"cause": "nonsense"}, {})
        self.assertIn("tlsa-no-match", str(error))
        for written in ("tlsa-no-match", "TLSA_NO_MATCH"):
            self.assertIs(LIST_MESSAGES.asked({"cause": written}, {}).cause, CauseKind.TLSA_NO_MATCH)
        self.assertIsNone(LIST_MESSAGES.asked({}, {}).cause)
