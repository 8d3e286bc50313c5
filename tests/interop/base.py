"""What the tests with real programs share: a gateway with the listeners of a provider, letters, and the far end."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as MAIL
from pathlib import Path
from typing import cast

import attrs
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from seg.auth.users import new_user, with_user
from seg.lab.arrivals import ReceivedMessage
from seg.lab.gateway import GatewayProcess
from seg.lab.internet import free_port
from tests.e2e.base import ROOT, GatewayCase, without_trace

SENDER, PASSWORD = "alice@sender.example", "correct horse"
RECIPIENT, OTHER = "bob@receiver.example", "carol@receiver.example"
IDN, IDN_ASCII = "bücher.example", "xn--bcher-kva.example"
HOSTNAME = "gateway.lab.example"
UNKNOWN = "nobody@local.example"
MOST = 3_000_000  # octets of a message

HEAD = f"From: Alice <{SENDER}>\nTo: <{RECIPIENT}>\nDate: Thu, 02 Jul 2026 10:00:00 +0000\nMessage-ID: <{{}}@sender.example>\n"
# Lone dots, leading dots, blanks at the end, the longest line that RFC 5321 §4.5.3.1.6 allows, an empty line at the end.
BODY = "\n".join(
    [".", "..", ".leading", "From the start", "trailing \t ", "x" * 998, "." + "y" * 990, "", "last", "", ""]
)
UTF8_BODY = "Grüße, 漢字 🙂\n.\n.ünten\n" + "ö" * 490 + "\n"
ATTACHMENT = bytes(range(256)) * 4096  # 1 MiB of every octet


def _letter(name: str, fields: str, body: str) -> bytes:
    return (HEAD.format(name) + f"Subject: {name}\n{fields}\n{body}").encode()


def _with_attachment() -> bytes:
    message = EmailMessage(MAIL.clone(linesep="\n"))
    for name, text in (
        ("From", SENDER),
        ("To", RECIPIENT),
        ("Subject", "attachment"),
        ("Message-ID", "<a@sender.example>"),
    ):
        message[name] = text
    message["Date"] = "Thu, 02 Jul 2026 10:00:00 +0000"
    message.set_content("see there\n")
    message.add_attachment(ATTACHMENT, maintype="application", subtype="octet-stream", filename="every octet.bin")
    return message.as_bytes()


MIME = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
# Whole letters with LF line ends, for programs that send what they are given.
DOTS = _letter("dots", "", BODY)
UTF8 = _letter("utf8", MIME, UTF8_BODY)
ATTACHED = _with_attachment()
TOO_LARGE = _letter("large", "", "0123456789" * 9 + "\n") + (b"0123456789" * 9 + b"\n") * (MOST // 90)
LETTERS = {"dots": DOTS, "utf8": UTF8, "attachment": ATTACHED}


def crlf(text: bytes) -> bytes:
    """The octets as they have to be on the wire."""
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@attrs.frozen
class Way:
    """A way in."""

    port: str  # the attribute of `ProgramCase` that has it
    tls: str  # "", "starttls" or "implicit"
    mechanism: str  # "" is without AUTH

    @property
    def protocol(self) -> str:
        """What the trace field says of it (RFC 3848)."""
        return "ESMTP" + "S" * bool(self.tls) + "A" * bool(self.mechanism)


CLEAR, STARTTLS = Way("relay", "", ""), Way("relay", "starttls", "")
PLAIN, LOGIN = Way("submission", "starttls", "PLAIN"), Way("submission", "starttls", "LOGIN")
SCRAM = Way("submission", "starttls", "SCRAM-SHA-256")
IMPLICIT = Way("submissions", "implicit", "PLAIN")
IMPLICIT_LOGIN = Way("submissions", "implicit", "LOGIN")

# What each program has to show of a refusal: the gateway's own words.
BAD_PASSWORD, NO_SUCH_USER, TOO_BIG = "5.7.8", "No such user here", "5.3.4"


@attrs.frozen
class Done:
    """What a program did."""

    status: int
    output: str  # standard output and standard error

    def __str__(self) -> str:
        return f"exit status {self.status}\n{self.output}"


Send = Callable[[Way, bytes, tuple[str, ...], str], Awaitable[Done]]  # with recipients and password


class ProgramCase(GatewayCase):
    """One gateway with a relay listener (STARTTLS offered), a submission listener and one with implicit TLS."""

    timeout = 120

    async def setUp(self) -> None:
        """Start the far end and the gateway."""
        await super().setUp()
        self.seen = 0  # messages that tests have looked at
        self.home = self.folder / "home"
        self.home.mkdir()
        for folder in (self.folder, self.home, self.internet.ca_file.parent):  # of programs that run as other users
            folder.chmod(0o755)
        for domain in ("receiver.example", IDN_ASCII, "sender.example"):
            await self.internet.add_domain(domain)
        self.ca = self.internet.ca_file
        await self.start_provider()

    async def start_provider(self) -> GatewayProcess:
        """Start the gateway."""
        pem = self.internet.authority.issue(["localhost", "127.0.0.1"]).write(self.folder / "listener.pem")
        users = self.folder / "users"
        users.touch(mode=0o600)
        users.write_text(with_user("", new_user(SENDER, PASSWORD)))
        files = self.internet.gateway_configuration(
            settings={
                "listener": {"tls": "starttls", "certificate": str(pem)},
                "gateway": {
                    "hostname": HOSTNAME,
                    "postmaster": "admin@receiver.example",
                    "local_domains": ["local.example"],
                    "var": str(self.folder / "gateway" / "var"),
                },
                "receive": {"max_message_size": MOST},
                "auth": {"users": str(users)},
            },
            default={"mta_sts": "off", "dane": "none"},
        )
        self.submission, self.submissions = free_port(), free_port()
        more = "".join(
            f'[[listener]]\nname = "{name}"\nport = {port}\ntls = "{tls}"\nauth = "required"\ncertificate = "{pem}"\n'
            for name, port, tls in (
                ("submission", self.submission, "required"),
                ("submissions", self.submissions, "implicit"),
            )
        )
        files = attrs.evolve(files, seg_toml=files.seg_toml + more)
        self.gateway = GatewayProcess(reactor, self.folder / "gateway", files)  # type: ignore[arg-type]
        await self.gateway.start()
        self.relay = self.gateway.port
        return self.gateway

    # --- programs ---

    async def run_program(
        self, *command: str, stdin: bytes = b"", environment: dict[str, str] | None = None, folder: Path | None = None
    ) -> Done:
        """Run a program in a home of its own."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "USER": getpass.getuser(),
            **(environment or {}),
        }

        def run() -> Done:
            done = subprocess.run(
                command,
                check=False,
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=folder or self.home,
                timeout=60,
            )
            return Done(done.returncode, done.stdout.decode("utf-8", "replace"))

        return await deferToThread(run)

    async def start_program(self, *command: str, port: int = 0) -> subprocess.Popen[bytes]:
        """Start a program that stays, until the test ends.

        :param port: at which it listens once it is ready; 0 is none.
        """
        with (self.folder / "program.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home)

        def end() -> None:
            process.terminate()
            process.wait(20)

        def ready() -> None:
            for _ in range(200):
                with socket.socket() as probe:
                    if not port or not probe.connect_ex(("127.0.0.1", port)):
                        return
                time.sleep(0.05)
            raise AssertionError((self.folder / "program.log").read_text(errors="replace"))

        self.addCleanup(deferToThread, end)
        await deferToThread(ready)
        return process

    def sendmail(self) -> str:
        """A program of this gateway's own that stands where programs look for ``sendmail``."""
        assert self.gateway is not None
        path = self.folder / "sendmail"
        path.write_text(
            f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c 'from seg.cli.sendmail import main; main()' "
            f'-C {self.gateway.configuration} "$@"\n'
        )
        path.chmod(0o755)
        return str(path)

    def file(self, name: str, content: bytes | str, mode: int = 0o600) -> Path:
        """A file in the program's home."""
        path = self.home / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def port(self, way: Way) -> int:
        """The port of a way in."""
        return cast(int, getattr(self, way.port))

    async def exam(
        self,
        send: Send,
        *ways: Way,
        same: Callable[[bytes], bytes] = lambda letter: letter,
        helo: str = "",
        old: tuple[Way, ...] = (),
        traces: int = 0,
        queues: bool = False,
        edit: Callable[[bytes], bytes] = lambda letter: letter,
    ) -> None:
        """A program that sends what it is given sends each letter by each way, and shows what it was refused for.

        :param same: what it makes of a letter.
        :param helo: what the trace field has to say of its name.
        :param old: ways by which it says HELO.
        :param traces: how many trace fields it puts on top.
        :param queues: it delivers later and tells the sender of refusals by mail, and sends one message to each recipient.
        :param edit: makes a letter one that it takes.
        """
        for way in ways:
            for name, letter in LETTERS.items() if way is ways[-1] else (("dots", DOTS),):
                letter = edit(letter)
                done = await send(way, letter, (RECIPIENT,), PASSWORD)
                self.assertEqual(done.status, 0, f"{way} {name}: {done}")
                message = await self.same_arrives(same(letter), traces=traces, why=f"{way} {name}")
                self.assertIn(f" with {'SMTP' if way in old else way.protocol} id ", self.trace(message))
                self.assertIn(f"from {helo}", self.trace(message))
        if queues:
            return
        done = await send(ways[0], edit(DOTS), (RECIPIENT, OTHER), PASSWORD)
        self.assertEqual(done.status, 0, done)
        await self.same_arrives(same(edit(DOTS)), recipients=(RECIPIENT, OTHER), traces=traces)
        await self.authenticated(*(way.mechanism for way in self.logins(ways)))
        await self.refusals(send, ways[-1])

    @staticmethod
    def logins(ways: tuple[Way, ...]) -> list[Way]:
        """The ways of `exam`, once for each letter that went by them with AUTH."""
        used = [*ways[:-1], *[ways[-1]] * len(LETTERS), ways[0]]
        return [way for way in used if way.mechanism]

    async def refusals(self, send: Send, way: Way, *, large: bool = True) -> None:
        """What the gateway refuses ends with a status that isn't 0, and with the gateway's words."""
        cases = [(DOTS, UNKNOWN, PASSWORD, NO_SUCH_USER)]
        if large:
            cases.append((TOO_LARGE, RECIPIENT, PASSWORD, TOO_BIG))
        if way.mechanism:
            cases.append((DOTS, RECIPIENT, "wrong", BAD_PASSWORD))
        for letter, recipient, password, words in cases:
            done = await send(way, letter, (recipient,), password)
            self.assertNotEqual(done.status, 0, f"{words}: {done}")
            self.assertIn(words, done.output)
            self.assertNotIn("Traceback", done.output)
        self.assertEqual(len(self.internet.arrivals.messages), self.seen)

    async def authenticated(self, *mechanisms: str) -> None:
        """This is how users have authenticated so far, by the mail log."""
        assert self.gateway is not None
        if mechanisms:
            await self.gateway.wait_for_event("auth_succeeded", count=len(mechanisms), user=SENDER)
        self.assertEqual([event["mechanism"] for event in self.gateway.events("auth_succeeded")], list(mechanisms))

    # --- the far end ---

    @staticmethod
    def trace(message: ReceivedMessage) -> str:
        """The gateway's trace field, on one line."""
        return " ".join(without_trace(message.content)[0].decode().split())

    async def next_message(self, domain: str = "") -> ReceivedMessage:
        """The next message that arrives anywhere."""
        self.seen += 1
        messages = await self.internet.arrivals.wait_for(lambda message: True, self.seen, 20)
        return messages[self.seen - 1]

    async def same_arrives(
        self,
        letter: bytes,
        *,
        recipients: tuple[str, ...] = (RECIPIENT,),
        sender: str = SENDER,
        traces: int = 0,
        why: str = "",
    ) -> ReceivedMessage:
        """The next message is this one, octet for octet behind the gateway's trace field and so many of the program's own."""
        message = await self.next_message()
        self.assertEqual(message.reverse_path, sender, why)
        self.assertEqual(set(message.recipients), set(recipients), why)
        content = without_trace(message.content)[1]
        for _ in range(traces):
            field, content = without_trace(content)
            self.assertTrue(field.startswith(b"Received: "), field)
        if content != crlf(letter):
            self.assertEqual(content.split(b"\r\n"), crlf(letter).split(b"\r\n"), why)
        return message

    async def parsed_arrives(self, *, recipients: tuple[str, ...] = (RECIPIENT,), sender: str = SENDER) -> EmailMessage:
        """The next message, read by its MIME structure, for programs that make their own."""
        message = await self.next_message()
        self.assertEqual(message.reverse_path, sender)
        self.assertEqual(set(message.recipients), set(recipients))
        self.last_trace = self.trace(message)
        content = without_trace(message.content)[1]
        return cast(EmailMessage, message_from_bytes(content, policy=MAIL))

    def has_text(self, message: EmailMessage, text: str = UTF8_BODY) -> None:
        """The first part for readers is this text."""
        body = message.get_body()
        assert body is not None
        self.assertEqual(body.get_content().replace("\r\n", "\n").rstrip(), text.rstrip())

    def has_attachment(self, message: EmailMessage, text: str = UTF8_BODY) -> None:
        """A message has this text, and `ATTACHMENT` octet for octet."""
        self.has_text(message, text)
        (attachment,) = message.iter_attachments()
        self.assertEqual(attachment.get_content(), ATTACHMENT)

    async def logged(self, *patterns: str) -> None:
        """The mail log has these."""
        assert self.gateway is not None
        for pattern in patterns:
            await self.gateway.wait_for_log(pattern)
