"""Every ``--json`` of the queue and delivery commands holds to its schema: that of the API's answer where it is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from seg.admin import openapi
from seg.lab.behaviour import Behaviour
from seg.lab.world import MX, Policy
from tests.e2e.base import MESSAGE, GatewayCase

SCHEMAS = Path(__file__).parent.parent / "schemas"
PATIENT = {"queue": {"first_retry": 600.0, "max_retry": 600.0}, "delivery": {"idle_timeout": 0}}
REFUSED = Behaviour(mail="451 4.3.2 Not now")

LOOKS = (
    ("Status", ("status",)),
    ("version", ("version",)),
    ("Messages", ("queue", "list")),
    ("Messages", ("queue", "list", "--domain", "nowhere.example")),
    ("Messages", ("showrecipients", "--sender", "alice@sender.example")),
    ("Message", ("queue", "show", "1")),
    ("Message", ("oldmessage",)),
    ("Why", ("queue", "why", "1")),
    ("Hosts", ("tophosts", "soft_bounced")),
    ("Host", ("hoststatus", "later.example")),
    ("Host", ("hoststatus", "nowhere.example")),
    ("Clients", ("topin",)),
    ("DNS", ("dnsstatus",)),
    ("WorkQueue", ("workqueue", "status")),
    ("Messages", ("mailq",)),
    ("rate", ("rate", "--count", "1")),
    ("hostrate", ("hostrate", "later.example", "--count", "1")),
    ("Policies", ("policyshow",)),
)
DEEDS = (
    ("Suspension", ("suspenddel", "later.example")),
    ("Suspension", ("suspendlistener",)),
    ("Suspension", ("resume",)),
    ("WorkQueue", ("workqueue", "pause", "--reason", "a look")),
    ("WorkQueue", ("workqueue", "resume")),
    ("Done", ("queue", "hold", "1")),
    ("Done", ("queue", "release", "1")),
    ("archivemessage", ("archivemessage", "1", "--output", "one.mbox")),
    ("Flushed", ("dnsflush",)),
    ("CountersReset", ("resetcounters",)),
    ("Flushed", ("policyflush", "--all", "--yes")),
    ("Done", ("delivernow", "--domain", "later.example")),
    ("Done", ("removemessage", "1", "--yes")),
    ("Done", ("deleterecipients", "--domain", "later.example", "--yes")),
)


def validator(name: str) -> Draft202012Validator:
    """What checks an output: a capital for an answer of the API, else a schema in ``tests/schemas``."""
    if name[0].isupper():
        components = json.loads(openapi.text())["components"]
        return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components})
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text("utf-8")))


class JSONOutputTests(GatewayCase):
    """What programs read."""

    async def checked(self, schema: str, words: tuple[str, ...]) -> Any:
        """The output of a verb, once it holds to its schema."""
        found = await self.seg_json(*words)
        problems = [f"{error.json_path}: {error.message}" for error in validator(schema).iter_errors(found)]
        self.assertEqual(problems, [], f"seg {' '.join(words)}")
        return found

    async def test_outputs(self) -> None:
        """Each verb answers as its schema says, with mail that waits, and what it says is so."""
        await self.internet.add_domain("later.example", mx=[MX("mx.later.example", behaviour=REFUSED)], policy=Policy())
        gateway = await self.start_gateway(settings=PATIENT)
        for mid in (1, 2):
            await gateway.inject("alice@sender.example", "bob@later.example", MESSAGE)
            await gateway.wait_for_event("recipients_pending", mid=mid)
        seen = {words: await self.checked(schema, words) for schema, words in LOOKS}
        self.assertEqual([m["mid"] for m in seen["queue", "list"]["messages"]], [1, 2])
        self.assertEqual(seen["queue", "list", "--domain", "nowhere.example"], {"total": 0, "messages": []})
        self.assertEqual(seen["oldmessage",]["mid"], 1)
        (place,) = seen["queue", "why", "1"]["destinations"]
        self.assertIn("Not now", place["recipients"][0]["error"])
        self.assertIn("mta-sts", [provider for provider, _ in place["hosts"][0]["opinions"]])
        self.assertEqual([policy["domain"] for policy in seen["policyshow",]["policies"]], ["later.example"])
        self.assertEqual([h["soft_bounced"] for h in seen["tophosts", "soft_bounced"]["hosts"]], [2])
        host = seen["hoststatus", "later.example"]
        self.assertEqual((host["state"], host["active"], host["soft_bounced"]), ("up", 2, 2))
        self.assertEqual([record["host"] for record in host["mx"]["records"]], ["mx.later.example"])
        done = {words: await self.checked(schema, words) for schema, words in DEEDS}
        self.assertEqual(done["suspenddel", "later.example"]["domains"], ["later.example"])
        self.assertEqual(len(done["suspendlistener",]["listeners"]), 1)
        self.assertEqual(done["resume",], {"domains": [], "listeners": [], "paused": None, "not_written": ""})
        self.assertEqual(done["workqueue", "pause", "--reason", "a look"]["paused"]["reason"], "a look")
        self.assertIsNone(done["workqueue", "resume"]["paused"])
        self.assertEqual(done["policyflush", "--all", "--yes"], {"flushed": 1})
        self.assertEqual(done["removemessage", "1", "--yes"], {"done": [1], "refused": {}, "not_written": {}})
        self.assertEqual(done["deleterecipients", "--domain", "later.example", "--yes"]["done"], [2])
