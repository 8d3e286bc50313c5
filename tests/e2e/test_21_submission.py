"""Submission: users, AUTH by every mechanism over real TLS, and nobody else's mail."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import os
import smtplib
import ssl
import subprocess
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.threads import deferToThread

from tests.certificates import Authority, Issued
from tests.e2e.base import MESSAGE, ROOT, SEG, GatewayCase
from tests.programs import swaks_with_tls

USER, PASSWORD = "alice@sender.example", "correct horse"


class ScramClient:
    """SCRAM-SHA-256 (RFC 5802), written for the test from the RFC."""

    def __init__(self, binding: tuple[str, bytes] | None = None) -> None:
        self.header = f"p={binding[0]},," if binding else "n,,"
        self.bound = self.header.encode() + (binding[1] if binding else b"")
        self.bare = f"n={USER},r=fyko+d2lbbFgONRv9qkxdawL"
        self.signature = b""

    def __call__(self, challenge: bytes | None = None) -> str:
        """The next message."""
        if not challenge:
            return self.header + self.bare
        if self.signature:
            assert challenge == b"v=" + base64.b64encode(self.signature), "the server doesn't know the keys"
            return ""
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        final = f"c={base64.b64encode(self.bound).decode()},r={fields['r']}"
        message = f"{self.bare},{challenge.decode()},{final}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        proof = bytes(
            a ^ b for a, b in zip(key, hmac.digest(hashlib.sha256(key).digest(), message, "sha256"), strict=True)
        )
        self.signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return f"{final},p={base64.b64encode(proof).decode()}"


class SubmissionTests(GatewayCase):
    """A listener that wants AUTH, for clients from anywhere."""

    async def begin(self, **listener: Any) -> int:
        """Start the gateway, with a user; the listener's port."""
        await self.internet.add_domain("receiver.example")
        credential = self.internet.authority.issue(["mx.sender.example"])
        pem = credential.write(Path(self.folder, "listener.pem"))
        self.der = credential.chain[0].public_bytes(Encoding.DER)
        gateway = await self.start_gateway(
            settings={
                "listener": {"tls": "starttls", "certificate": str(pem), "auth": "required", **listener},
                "receive": {"relay_networks": []},
                "auth": {"mechanisms": ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]},
            }
        )
        out, err, status = await self.with_input(PASSWORD, "user", "add", USER, "--password-stdin")
        self.assertEqual((out, err, status), (f"User {USER} added.\n", "", 0))
        return gateway.port

    async def with_input(self, text: str, *arguments: str) -> tuple[str, str, int]:
        """Run the command with a line on its standard input."""
        assert self.gateway is not None
        command = [*SEG, "--config", str(self.gateway.configuration), *arguments]
        environment = {**os.environ, "PYTHONPATH": ROOT, "NO_COLOR": "1"}
        folder = str(self.gateway.folder)

        def run() -> tuple[str, str, int]:
            done = subprocess.run(
                command, check=False, input=text + "\n", capture_output=True, text=True, env=environment, cwd=folder
            )
            return done.stdout, done.stderr, done.returncode

        return await deferToThread(run)

    def client(self, port: int) -> smtplib.SMTP:
        """A client within TLS."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = smtplib.SMTP("127.0.0.1", port, timeout=20)
        client.ehlo()
        self.assertNotIn("auth", client.esmtp_features)
        client.starttls(context=context)
        client.ehlo()
        return client

    async def test_each_mechanism(self) -> None:
        """PLAIN, LOGIN and SCRAM with and without channel binding let the user in, and who he is stands in log and header."""
        port = await self.begin()

        def send() -> list[tuple[int, bytes]]:
            answers = []
            for name in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
                client = self.client(port)
                self.assertIn(name, client.esmtp_features["auth"].split())
                self.assertEqual(client.docmd("MAIL", "FROM:<a@sender.example>")[0], 530)
                if name.startswith("SCRAM"):
                    end_point = hashlib.sha256(self.der).digest()
                    binding = ("tls-server-end-point", end_point) if name.endswith("PLUS") else None
                    answers.append(client.auth(name, ScramClient(binding), initial_response_ok=True))
                else:
                    client.user, client.password = USER, PASSWORD
                    method = client.auth_plain if name == "PLAIN" else client.auth_login
                    answers.append(client.auth(name, method))
                client.sendmail(USER, ["bob@receiver.example"], MESSAGE)
                client.quit()
            return answers

        answers = await deferToThread(send)
        self.assertEqual([code for code, _ in answers], [235] * 4)
        messages = await self.internet.wait_for_messages("receiver.example", 4)
        self.assertIn(b"with ESMTPSA id", messages[0].content)
        assert self.gateway is not None
        await self.gateway.wait_for_log(
            rf"SMTP Auth: \(ICID \d+\) succeeded for user: {USER} using AUTH mechanism: SCRAM-SHA-256-PLUS with profile: users"
        )

    async def test_wrong(self) -> None:
        """A wrong password, a user who doesn't exist and a stolen proof look the same to the client; the log tells them apart."""
        port = await self.begin()

        def guess() -> list[tuple[int, bytes]]:
            client = self.client(port)
            answers = []
            for user, password in ((USER, "wrong horse"), ("nobody@sender.example", PASSWORD)):
                client.user, client.password = user, password
                answers.append(
                    client.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())
                )
            scram = ScramClient(("tls-server-end-point", b"another session"))
            _, text = client.docmd("AUTH", "SCRAM-SHA-256-PLUS " + base64.b64encode(scram().encode()).decode())
            answers.append(client.docmd(base64.b64encode(scram(base64.b64decode(text)).encode()).decode()))
            answers.append(client.docmd("MAIL", "FROM:<a@sender.example>"))
            return answers

        answers = await deferToThread(guess)
        self.assertEqual(answers[:3], [(535, b"5.7.8 Authentication credentials invalid")] * 3)
        self.assertEqual(answers[3][0], 530)
        assert self.gateway is not None
        await self.gateway.wait_for_log(
            r"failed for user: nobody@sender\.example using AUTH mechanism: PLAIN .* no such user"
        )
        line = await self.gateway.wait_for_log(r"AUTH mechanism: SCRAM-SHA-256-PLUS .*another TLS session")
        self.assertNotIn("wrong horse", line)

    async def test_users(self) -> None:
        """Users are added, listed, changed and deleted while the gateway runs; slips are told."""
        port = await self.begin(auth="offered")
        table = (
            (("user", "add", USER, "--password-stdin"), PASSWORD, "there is a user"),
            (("user", "add", "bob", "--password-stdin"), "short", "at least 8 characters"),
            (("user", "add", "two words", "--password-stdin"), PASSWORD, "the user name has what it can't have"),
            (("user", "passwd", "bob", "--password-stdin"), PASSWORD, "there is no user bob"),
            (("user", "delete", "bob"), "", "there is no user bob"),
            (("user", "add", "bob"), "", "use --password-stdin"),
        )
        for command, text, problem in table:
            _, err, status = await self.with_input(text, *command)
            self.assertNotEqual(status, 0)
            self.assertIn(problem, err)
        await self.with_input("another horse", "user", "passwd", USER, "--password-stdin", "--no-scram")
        found = await self.seg_json("user", "list")
        self.assertEqual(found["users"], [{"name": USER, "password": True, "scram": False}])
        self.assertEqual(Path(found["file"]).stat().st_mode & 0o777, 0o600)

        def login(password: str) -> int:
            client = self.client(port)
            try:
                return client.login(USER, password)[0]
            except smtplib.SMTPAuthenticationError as error:
                return error.smtp_code

        self.assertEqual(await deferToThread(login, PASSWORD), 535)
        self.assertEqual(await deferToThread(login, "another horse"), 235)
        await self.seg("user", "delete", USER, "--yes")
        await self.with_input("", "user", "list")
        self.assertEqual(await deferToThread(self._late, login), 535)

    def _late(self, login: Any) -> int:
        import time

        time.sleep(1.1)  # the file is looked at once a second
        return int(login("another horse"))

    async def test_swaks(self) -> None:
        """A client that administrators test with gets in by each mechanism that it knows."""
        swaks = swaks_with_tls()
        port = await self.begin()
        command = [swaks, "--server", f"127.0.0.1:{port}", "--tls", "--from", USER, "--to", "bob@receiver.example"]
        for mechanism in ("PLAIN", "LOGIN"):
            done = await deferToThread(
                subprocess.run,
                [*command, "--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD],
                capture_output=True,
                check=False,
                text=True,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("235 2.7.0", done.stdout)
        await self.internet.wait_for_messages("receiver.example", 2)

    async def test_client_certificate(self) -> None:
        """Whoever holds a listed certificate may relay; with another one, or none, a client is a client like any other."""
        now = datetime.datetime.now(datetime.UTC)
        root = Authority.root(now=now)
        listed, other = root.leaf("app.example", now=now), root.leaf("other.example", now=now)
        clients = Path(self.folder, "clients.pem")
        clients.write_bytes(listed.certificate.public_bytes(Encoding.PEM))
        port = await self.begin(auth="off", client_certificates=str(clients))

        def recipient(issued: Issued | None) -> int:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if issued is not None:
                context.load_cert_chain(*issued.write(self.folder, "client"))
            client = smtplib.SMTP("127.0.0.1", port, timeout=20)
            client.starttls(context=context)
            client.ehlo()
            client.mail(USER)
            return client.rcpt("bob@receiver.example")[0]

        for issued, code in ((listed, 250), (other, 550), (None, 550)):
            self.assertEqual(await deferToThread(recipient, issued), code)
        assert self.gateway is not None
        await self.gateway.wait_for_log(r"TLS client certificate of .*app\.example.*: may relay")
        await self.gateway.wait_for_log(r"TLS client certificate of .*other\.example.*: isn't listed")
