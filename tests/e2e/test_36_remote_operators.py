"""The admin API over TLS: ``seg --server`` with tokens, and whoever else comes to the port."""

from __future__ import annotations

import datetime
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.threads import deferToThread

from seg.admin.roles import Role
from seg.admin.tokens import Token, hash_of, new_secret, with_token
from seg.auth.users_file import change
from seg.lab.internet import free_port
from seg.lab.pki import Authority
from tests.e2e.base import MESSAGE, ROOT, SEG, GatewayCase

NAME = "localhost"  # in the certificate
LATER = {"queue": {"first_retry": 600.0, "max_retry": 600.0}}


@attrs.frozen
class Answer:
    """What came back over a connection."""

    status: int
    head: str
    body: Any


class RemoteOperatorsTests(GatewayCase):
    """One gateway that serves the admin API to other machines, with a message in its queue."""

    async def setUp(self) -> None:
        """An act token and a look token."""
        await super().setUp()
        await self.internet.add_domain("receiver.example")
        self.authority = Authority(name="Office")
        self.ca = self.folder / "office.pem"
        self.ca.write_bytes(self.authority.root.public_bytes(Encoding.PEM))
        self.pem = self.authority.issue([NAME]).write(self.folder / "api.pem")
        control = {"address": "127.0.0.1", "port": 0, "certificate": str(self.pem)}
        gateway = await self.start_gateway(settings={**LATER, "control": control})
        self.port = int((await gateway.wait_for_event("admin_listening"))["port"])
        self.tokens = Path(gateway.configuration).parent / "tokens"
        self.act, self.look = new_secret(), new_secret()
        for token in (
            Token("alice", Role.ACT, hash_of(self.act.encode())),
            Token("watcher", Role.LOOK, hash_of(self.look.encode())),
        ):
            change(self.tokens, partial(with_token, token=token))

    async def remote(self, token: str, *words: str, ca: Path | None = None, host: str = NAME) -> tuple[str, str, int]:
        """Run ``seg --server``, as on another machine: output, errors, status."""
        file = self.folder / "token"
        file.write_text(token + "\n")
        options = [
            "--server",
            f"https://{host}:{self.port}",
            "--token-file",
            str(file),
            "--ca-file",
            str(ca or self.ca),
        ]
        return await self.run_seg([*options, *words])

    async def run_seg(self, words: list[str], **environment: str) -> tuple[str, str, int]:
        """The command in a folder without a configuration."""

        def run() -> tuple[str, str, int]:
            done = subprocess.run(
                [*SEG, *words],
                check=False,
                capture_output=True,
                text=True,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": ROOT, "NO_COLOR": "1", **environment},
            )
            return done.stdout, done.stderr, done.returncode

        return await deferToThread(run)  # type: ignore[no-any-return]

    def connect(self) -> ssl.SSLSocket:
        """A connection within TLS."""
        context = ssl.create_default_context(cafile=str(self.ca))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 10), server_hostname=NAME)

    async def http(self, method: str, path: str, *fields: str, body: bytes = b"") -> Answer:
        """One request over a connection of its own."""
        length = [f"Content-Length: {len(body)}"] if body else []
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *fields, *length, "", ""])

        def call() -> Answer:
            with self.connect() as client:
                client.sendall(head.encode() + body)
                octets = b"".join(iter(lambda: client.recv(65536), b""))
            top, _, rest = octets.partition(b"\r\n\r\n")
            start, end = rest.find(b"{"), rest.rfind(b"}")
            return Answer(int(top.split()[1]), top.decode().lower(), json.loads(rest[start : end + 1]))

        return await deferToThread(call)  # type: ignore[no-any-return]

    async def test_commands(self) -> None:
        """With a token for all the command does what it does on the machine, and the log says who it was."""
        assert self.gateway is not None
        out, err, status = await self.remote(self.act, "status", "--json")
        self.assertEqual((err, status), ("", 0))
        self.assertEqual(json.loads(out)["pid"], self.gateway.pid)
        out, err, status = await self.remote(self.act, "suspenddel", "receiver.example")
        self.assertEqual((err, status), ("", 0))
        event = await self.gateway.wait_for_event("operator_acted")
        self.assertEqual(event["by"], "token alice")
        await self.gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        out, err, status = await self.remote(self.act, "queue", "hold", "1")
        self.assertEqual((err, status), ("", 0))
        await self.gateway.wait_for_log(r"MID 1 held by token alice")

    async def test_staged_changes(self) -> None:
        """Changes are staged for the token's name, and for nobody else."""
        set_ = ("receiveconfig", "--max-recipients", "77")
        self.assertEqual((await self.remote(self.act, *set_))[2], 0)
        out, _, _ = await self.remote(self.act, "changes", "--json")
        self.assertEqual(json.loads(out)["by"], "token alice")
        here = await self.seg_json("changes")
        self.assertEqual((here["diff"], here["others"]), ("", ["token alice"]))
        out, err, status = await self.remote(self.act, "commit", "from afar")
        self.assertEqual((err, status), ("", 0))
        self.assertEqual((await self.seg_json("rollbackconfig"))["commits"][0]["by"], "token alice")
        act = f"Authorization: Bearer {self.act}"
        edit = {"file": "settings", "path": ["control", "certificate"], "value": "/nowhere.pem"}
        staged = await self.http("POST", "/v1/changes", act, body=json.dumps({"edits": [edit]}).encode())
        self.assertEqual(staged.status, 422)  # the next start would fail
        self.assertIn("/nowhere.pem", staged.body["error"])

    async def test_changed_while_it_runs(self) -> None:
        """Port, certificate, tokens file and the socket's mode change with a reload; what can't be used changes nothing; at last it is off."""
        gateway = self.gateway
        assert gateway is not None
        text, former, port = gateway.configuration.read_text(), self.port, free_port()

        async def reload(**control: str | int) -> tuple[str, int]:
            keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in control.items())
            gateway.configuration.write_text(re.sub(r"\[control\]\n(\w+ = .*\n)*", f"[control]\n{keys}", text))
            _, err, status = await self.seg("reload")
            return err, status

        here = {"address": "127.0.0.1", "port": port, "certificate": str(self.pem)}
        self.assertEqual(await reload(**here), ("", 0))
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", former), 10)
        self.port = port
        self.assertEqual((await self.remote(self.look, "status"))[1:], ("", 0))
        err, status = await reload(**{**here, "certificate": "/nowhere.pem"})
        self.assertEqual(status, 1)
        self.assertIn("/nowhere.pem: can't be read", err)
        self.assertEqual((await self.remote(self.look, "status"))[1:], ("", 0))
        other = Authority(name="Elsewhere")
        here["certificate"] = str(other.issue([NAME]).write(self.folder / "other.pem"))
        self.assertEqual(await reload(**here, mode="0660", tokens=str(self.folder / "none")), ("", 0))
        self.assertIn("isn't trusted", (await self.remote(self.look, "status"))[1])
        self.ca.write_bytes(other.root.public_bytes(Encoding.PEM))
        self.assertIn("unknown token", (await self.remote(self.look, "status"))[1])
        self.assertEqual((gateway.folder / "var" / "run" / "seg.sock").stat().st_mode & 0o777, 0o660)
        self.assertEqual(await reload(), ("", 0))
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", port), 10)
        self.assertEqual((await self.seg("status"))[2], 0)

    async def test_environment(self) -> None:
        """Server, token and authority may come from the environment; the command line goes before it."""
        (self.folder / "token").write_text(self.look)
        environment = {
            "SEG_SERVER": f"https://{NAME}:{self.port}",
            "SEG_TOKEN_FILE": str(self.folder / "token"),
            "SEG_CA_FILE": str(self.ca),
        }
        _, err, status = await self.run_seg(["status"], **environment)
        self.assertEqual((err, status), ("", 0))
        _, err, status = await self.run_seg(["--socket", "/nowhere", "status"], **environment)
        self.assertIn("nobody listens at /nowhere", err)
        for words in (["tail"], ["user", "list"], ["token", "list"], ["explain", "--here", "receiver.example"]):
            _, err, status = await self.run_seg(words, **environment)
            self.assertEqual(status, 2, words)
            self.assertIn("run it there, without --server", err)

    async def test_look_token(self) -> None:
        """A token that may look sees, and is refused all else; the log says so."""
        assert self.gateway is not None
        self.assertEqual((await self.remote(self.look, "status"))[2], 0)
        out, err, status = await self.remote(self.look, "suspenddel", "receiver.example")
        self.assertEqual((out, status), ("", 2))
        self.assertIn("token watcher may look only", err)
        answer = await self.http("POST", "/v1/reload", f"Authorization: Bearer {self.look}")
        self.assertEqual(answer.status, 403)
        event = await self.gateway.wait_for_event("admin_refused")
        self.assertEqual(event["reason"], "token watcher may look only: POST /v1/suspension")
        self.assertEqual(self.gateway.events("operator_acted"), [])

    async def test_no_token(self) -> None:
        """Without a token, or with another, nothing is to be had, not even which paths there are; the token isn't logged."""
        assert self.gateway is not None
        for fields, path in (((), "/v1/nothing"), (("Authorization: Basic YTpi",), "/v1/openapi")):
            answer = await self.http("GET", path, *fields)
            self.assertEqual(answer.status, 401, path)
            self.assertIn("www-authenticate: bearer", answer.head)
        out, err, status = await self.remote("seg_wrongwrong", "status")
        self.assertEqual((out, status), ("", 2))
        self.assertIn("unknown token", err)
        line = await self.gateway.wait_for_log(r"Warning: Admin API: 127\.0\.0\.1 refused: unknown token")
        self.assertNotIn("wrong", line + "\n".join(self.gateway.log_lines()) + self.gateway.output())

    async def test_certificates(self) -> None:
        """The command talks to nobody whose certificate or name is another; and the gateway speaks no TLS 1.1."""
        stranger = self.folder / "stranger.pem"
        stranger.write_bytes(Authority(name="Stranger").root.public_bytes(Encoding.PEM))
        for options in ({"ca": stranger}, {"host": "127.0.0.1"}):
            out, err, status = await self.remote(self.act, "status", **options)  # type: ignore[arg-type]
            self.assertEqual((out, status), ("", 2))
            self.assertIn("isn't trusted: ", err)
        self.assertEqual(self.gateway.events("admin_refused"), [])  # type: ignore[union-attr]
        context = ssl.create_default_context(cafile=str(self.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")

        def call() -> None:
            with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
                context.wrap_socket(plain, server_hostname=NAME)

        await self.assertFailure(deferToThread(call), ssl.SSLError, ConnectionError)

    async def test_revoked(self) -> None:
        """A token that was deleted, or whose last day has passed, is refused with its next request, on the same connection, too."""
        request = f"GET /v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.act}\r\n\r\n".encode()
        client = await deferToThread(self.connect)
        self.addCleanup(client.close)

        def ask() -> int:
            client.sendall(request)
            response = http.client.HTTPResponse(client)
            response.begin()
            response.read()
            return response.status

        self.assertEqual(await deferToThread(ask), 200)
        self.assertEqual(await self.seg("token", "delete", "alice", "--yes"), ("Token alice deleted.\n", "", 0))
        self.assertEqual(await deferToThread(ask), 401)
        yesterday = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=1)
        self.tokens.write_text(self.tokens.read_text().rstrip("\n") + f" {yesterday}\n")
        _, err, _ = await self.remote(self.look, "status")
        self.assertIn(f"token watcher counted until {yesterday}", err)
        self.assertEqual(self.tokens.stat().st_mode & 0o777, 0o600)

    async def test_back_off(self) -> None:
        """Who fails too often is turned away; the control socket isn't."""
        assert self.gateway is not None
        clients = [self.http("GET", "/v1/status", "Authorization: Bearer x") for _ in range(3)]
        for client in clients:
            self.assertEqual((await client).status, 401)
        self.assertEqual((await self.remote(self.act, "status"))[2], 0)  # which takes the failures away
        for number in range(4, 14):  # whoever doesn't wait for the answers fails sooner
            with self.connect() as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await self.gateway.wait_for_event("admin_refused", count=number)
        answer = await self.http("GET", "/v1/status", f"Authorization: Bearer {self.act}")
        self.assertEqual(answer.status, 429)
        self.assertIn("retry-after: 600", answer.head)
        self.assertIn("turned away for ten minutes", self.gateway.events("admin_refused")[-1]["reason"])
        self.assertEqual((await self.seg("status"))[2], 0)

    async def test_bodies(self) -> None:
        """A large body is taken from a token for all; from others it is refused before it is read, and so is one without end."""
        act = f"Authorization: Bearer {self.act}"
        self.assertEqual((await self.http("GET", "/v1/status", act)).status, 200)
        large = b'{"edits": [], "x": "' + b"x" * 3_000_000 + b'"}'
        self.assertEqual(
            (await self.http("POST", "/v1/changes", act, body=large)).status, 400
        )  # read, and no edits in it
        self.assertEqual((await self.http("POST", "/v1/messages", act, body=large)).status, 413)
        for fields in ((), (f"Authorization: Bearer {self.look}",)):
            answer = await self.http("POST", "/v1/changes", *fields, "Content-Length: 30000000")
            self.assertEqual(answer.status, 413)
            chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
            answer = await self.http(
                "POST", "/v1/changes", *fields, "Transfer-Encoding: chunked\r\n\r\n" + (chunk * 4).decode()
            )
            self.assertEqual(answer.status, 413)
        self.assertEqual((await self.http("GET", "/v1/status", act)).status, 200)

    async def test_garbage_and_slow_clients(self) -> None:
        """Garbage, clear text, silence, half a request, more connections than one address may have: the others are served."""
        assert self.gateway is not None
        idle: list[socket.socket] = []
        self.addCleanup(lambda: [each.close() for each in idle])

        def annoy() -> None:
            for octets in (
                b"\x16\x03\x01\x00\xff" + b"\xff" * 300,
                b"GET /v1/status HTTP/1.1\r\n\r\n",
                b"\0" * 70000,
                b"",
            ):
                with socket.create_connection(("127.0.0.1", self.port), 10) as client:
                    client.sendall(octets)
            for octets in (
                b"\xff\0\r\n\r\n",
                b"GET / HTTP/9\r\n" * 1000,
                b"x" * 70000,
                b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            ):
                with self.connect() as client:
                    client.sendall(octets)
            for _ in range(6):
                idle.append(socket.create_connection(("127.0.0.1", self.port), 10))
                client = self.connect()
                client.sendall(b"GET /v1/status HTTP/1.1\r\nAuthor")
                idle.append(client)

        await deferToThread(annoy)
        self.assertEqual((await self.remote(self.act, "status"))[2], 0)

        def crowd() -> bytes:
            for _ in range(20):
                idle.append(socket.create_connection(("127.0.0.1", self.port), 10))
            return idle[-1].recv(1)

        self.assertEqual(await deferToThread(crowd), b"")  # closed at once
        self.assertEqual((await self.seg("status"))[2], 0)
        for each in idle:
            each.close()
        self.assertEqual((await self.remote(self.act, "status"))[2], 0)
        self.assertNotIn("Traceback", self.gateway.output())
