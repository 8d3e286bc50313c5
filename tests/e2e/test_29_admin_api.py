"""The admin API over its socket: every operation answers as ``openapi.json`` says, whatever else a client sends."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlencode

from jsonschema import Draft202012Validator
from twisted.internet.threads import deferToThread

from seg.cli.client import SocketConnection
from seg.lab.behaviour import Behaviour
from seg.lab.world import MX, Policy
from tests.e2e.base import MESSAGE, GatewayCase

PATIENT = {"queue": {"first_retry": 600.0, "max_retry": 600.0}, "delivery": {"idle_timeout": 0}}
LATER = Behaviour(mail="451 4.3.2 Not now")
EDIT = {"file": "destinations", "path": ["default", "messages_per_connection"], "value": 7}
CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (  # operation, path, query or body
    ("describe", "/v1/openapi", {}),
    ("status", "/v1/status", {}),
    ("resetCounters", "/v1/counters/reset", {}),
    ("listMessages", "/v1/messages", {"domain": "later.example", "limit": 1}),
    ("showMessage", "/v1/messages/1", {}),
    ("listHeldByPolicy", "/v1/held-by-policy", {"limit": 10}),
    ("getPolicyReport", "/v1/policy-report", {"days": 7}),
    ("explainMessage", "/v1/messages/1/why", {}),
    ("readMessage", "/v1/messages/1/content", {"limit": 10}),
    ("listHosts", "/v1/hosts", {"sort": "conn_out"}),
    ("showHost", "/v1/host", {"domain": "later.example"}),
    ("listClients", "/v1/clients", {}),
    ("changeSuspension", "/v1/suspension", {"suspend": ["later.example"]}),
    ("showSuspension", "/v1/suspension", {}),
    ("changeSuspension", "/v1/suspension", {"resume": ["ALL"]}),
    ("changeWorkQueue", "/v1/workqueue", {"pause": "by the test"}),
    ("showWorkQueue", "/v1/workqueue", {}),
    ("showSuspension", "/v1/suspension", {}),
    ("explainMessage", "/v1/messages/1/why", {}),
    ("changeWorkQueue", "/v1/workqueue", {"resume": True}),
    (
        "actOnMessages",
        "/v1/messages",
        {"action": "redirect", "mids": [1], "host": "a.example", "recipients_at": "b.example"},
    ),
    ("actOnMessages", "/v1/messages", {"action": "hold", "mids": [1]}),
    ("listMessages", "/v1/messages", {"held": 1}),
    ("actOnMessages", "/v1/messages", {"action": "delete", "all": True}),
    ("listCorrupt", "/v1/corrupt", {}),
    ("showCorrupt", "/v1/corrupt/file", {"name": "new-00-core"}),
    ("actOnCorrupt", "/v1/corrupt", {"action": "restore", "names": ["new-00-core"]}),
    ("actOnCorrupt", "/v1/corrupt", {"action": "delete", "all": True}),
    ("listPolicies", "/v1/policies", {}),
    ("flushPolicies", "/v1/policies/flush", {"all": True}),
    ("showDNS", "/v1/dns", {}),
    ("flushDNS", "/v1/dns/flush", {}),
    ("listDestinations", "/v1/destinations", {}),
    ("showDestination", "/v1/destination", {"domain": "later.example"}),
    ("check", "/v1/checks", {"kind": "mta-sts", "domain": "later.example"}),
    ("check", "/v1/checks", {"kind": "explain", "domain": "works.example"}),
    ("check", "/v1/checks", {"kind": "tls", "domain": "nowhere.example"}),
    ("check", "/v1/checks", {"kind": "dane", "domain": "works.example"}),
    ("stage", "/v1/changes", {"edits": [EDIT]}),
    ("showChanges", "/v1/changes", {}),
    ("rebase", "/v1/changes/rebase", {}),
    ("showConfiguration", "/v1/configuration", {}),
    ("commit", "/v1/commits", {"comment": "by the test"}),
    ("listCommits", "/v1/commits", {"limit": 5}),
    ("showCommit", "/v1/commits/2", {}),
    ("rollBack", "/v1/rollback", {"number": 1}),
    ("clearChanges", "/v1/changes", {}),
    ("reload", "/v1/reload", {}),
    ("watchDialogues", "/v1/debug", {"domain": "later.example", "sessions": 2}),
    ("listDialogues", "/v1/debug", {}),
    ("metrics", "/v1/metrics", {}),
)
REFUSED: tuple[tuple[str, str, object, int], ...] = (
    ("GET", "/v1/nothing", None, 404),
    ("PUT", "/v1/status", None, 405),
    ("GET", "/v1/messages/99", None, 404),
    ("GET", "/v1/messages?limit=lots", None, 400),
    ("GET", "/v1/host", None, 400),
    ("POST", "/v1/messages", {"action": "explode", "all": True}, 400),
    ("POST", "/v1/messages", {"action": "hold"}, 400),
    ("POST", "/v1/messages", [], 400),
    ("GET", "/v1/corrupt/file?name=../counters.json", None, 404),
    ("POST", "/v1/corrupt", {"action": "explode", "all": True}, 400),
    ("POST", "/v1/corrupt", {"action": "delete"}, 400),
    ("POST", "/v1/suspension", {"suspend": [1]}, 400),
    ("POST", "/v1/suspension", {"suspend_listeners": ["nobody"]}, 404),
    ("POST", "/v1/workqueue", {"resume": True}, 409),
    ("POST", "/v1/workqueue", {"pause": " "}, 400),
    ("POST", "/v1/workqueue", {"pause": "x", "resume": True}, 400),
    ("POST", "/v1/messages", {"action": "redirect", "all": True}, 400),
    ("POST", "/v1/messages", {"action": "redirect", "all": True, "host": "a b"}, 400),
    ("POST", "/v1/checks", {"kind": "palm", "domain": "a.example"}, 400),
    ("POST", "/v1/changes", {"edits": [{**EDIT, "path": ["default", "messages_per_conection"]}]}, 422),
    ("POST", "/v1/commits", {}, 409),
    ("POST", "/v1/debug", {}, 400),
    ("POST", "/v1/debug", {"domain": "a..b"}, 400),
    ("POST", "/v1/debug", {"domain": "a.example", "sessions": 1001}, 400),
    ("POST", "/v1/rollback", {"number": "1"}, 400),
)


class AdminAPITests(GatewayCase):
    """One gateway with a message that waits."""

    async def setUp(self) -> None:
        """A destination that says not now."""
        await super().setUp()
        await self.internet.add_domain("later.example", mx=[MX("mx.later.example", behaviour=LATER)], policy=Policy())
        await self.internet.add_domain("works.example", policy=Policy(mode="enforce"))
        gateway = await self.start_gateway(settings=PATIENT)
        await gateway.inject("alice@sender.example", "bob@later.example", MESSAGE)
        await gateway.wait_for_event("recipients_pending", mid=1)
        self.socket = gateway.socket
        (gateway.folder / "var" / "spool" / "corrupt" / "new-00-core").write_bytes(b"x")

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, str, bytes]:
        """Status, type and octets of an answer."""

        def call() -> tuple[int, str, bytes]:
            connection = SocketConnection(self.socket, 30)
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            return response.status, response.getheader("content-type", ""), response.read()

        return await deferToThread(call)  # type: ignore[no-any-return]

    async def test_as_described(self) -> None:
        """Each operation takes what the description says, and answers so; none is left out."""
        document = json.loads((await self.ask("GET", "/v1/openapi"))[2])
        operations = {
            operation["operationId"]: (method, operation)
            for methods in document["paths"].values()
            for method, operation in methods.items()
        }
        self.assertEqual({name for name, _, _ in CALLS}, set(operations))
        for name, path, given in CALLS:
            method, operation = operations[name]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if body is not None:
                self.holds(document, body, given, name)
            else:
                described = {p["name"]: p for p in operation.get("parameters", ()) if p["in"] == "query"}
                self.assertEqual(set(given) - set(described), set(), name)
                path += "?" + urlencode(given) if given else ""
            status, kind, octets = await self.ask(method.upper(), path, given if body is not None else None)
            self.assertEqual(status, 200, f"{name}: {octets!r}")
            ((wanted, content),) = operation["responses"]["200"]["content"].items()
            self.assertEqual(kind.split(";")[0], wanted, name)
            answer = json.loads(octets) if wanted == "application/json" else octets.decode()
            self.holds(document, content["schema"], answer, name)

    def holds(self, document: dict[str, Any], schema: dict[str, Any], value: object, name: str) -> None:
        """A value is as a schema of the document says."""
        whole = {**schema, "components": document["components"]}
        problems = [f"{e.json_path}: {e.message}" for e in Draft202012Validator(whole).iter_errors(value)]
        self.assertEqual(problems, [], name)

    async def test_commands(self) -> None:
        """What the command prints as JSON of destinations, changes and checks is the answer of the API."""
        document = json.loads((await self.ask("GET", "/v1/openapi"))[2])
        for name, words in (
            ("Destinations", ("destconfig", "list")),
            ("Changes", ("changes",)),
            ("Commits", ("rollbackconfig",)),
            ("Check", ("explain", "works.example")),
            ("Check", ("stsverify", "works.example")),
        ):
            out, err, _ = await self.seg(*words, "--json")
            self.assertEqual(err, "", words)
            self.holds(document, {"$ref": f"#/components/schemas/{name}"}, json.loads(out), " ".join(words))

    async def test_refused(self) -> None:
        """What can't be done is told in the one form of an error."""
        document = json.loads((await self.ask("GET", "/v1/openapi"))[2])
        error = {"$ref": "#/components/schemas/Error"}
        for method, path, body, wanted in REFUSED:
            status, _, octets = await self.ask(method, path, body)
            self.assertEqual(status, wanted, f"{method} {path}: {octets!r}")
            self.holds(document, error, json.loads(octets), path)

    async def test_garbage(self) -> None:
        """Garbage, too much, silence, a client that hangs up: the next one is served."""
        large = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b" " * 70000
        for octets in (
            b"\x16\x03\x01\x00\xff",
            b"GET\r\n\r\n",
            large,
            b"GET /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n",
            b"",
        ):
            await deferToThread(self._send, octets)
        deep = b"[" * 30000
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(deep)
        answer = await deferToThread(self._send, head + deep, True)
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertEqual((await self.ask("GET", "/v1/status"))[0], 200)

    def _send(self, octets: bytes, listen: bool = False) -> bytes:
        """Send this and hang up, perhaps after the first octets of the answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            client.connect(str(self.socket))
            try:
                client.sendall(octets)
            except (BrokenPipeError, ConnectionResetError):
                return b""
            return client.recv(1000) if listen else b""
