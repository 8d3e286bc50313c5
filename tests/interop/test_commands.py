"""Commands that scripts send mail with: swaks, curl, msmtp."""

from __future__ import annotations

from tests.interop.base import (
    CLEAR,
    DOTS,
    IDN,
    IDN_ASCII,
    IMPLICIT,
    IMPLICIT_LOGIN,
    LOGIN,
    PASSWORD,
    PLAIN,
    SCRAM,
    SENDER,
    STARTTLS,
    Done,
    ProgramCase,
    Way,
    crlf,
)
from tests.programs import optional_program, swaks_with_tls


class SwaksTests(ProgramCase):
    """swaks."""

    async def test_letters(self) -> None:
        """What swaks is given arrives, by each way that it knows."""
        swaks = swaks_with_tls()
        optional_program("perl", "-MAuthen::SASL", "-e1", package="libauthen-sasl-perl")

        async def send(way: Way, letter: bytes, recipients: tuple[str, ...], password: str) -> Done:
            # It puts a line end of its own behind what it is given.
            command = [
                swaks,
                "--data",
                f"@{self.file('letter', letter[:-1])}",
                "--from",
                SENDER,
                "--to",
                ",".join(recipients),
            ]
            command += ["--server", "localhost", "--port", str(self.port(way)), "--ehlo", "swaks.example"]
            command += {"": [], "starttls": ["--tls"], "implicit": ["--tls-on-connect"]}[way.tls]
            if way.tls:
                command += ["--tls-verify", "--tls-ca-path", str(self.ca)]
            if way.mechanism:
                command += ["--auth", way.mechanism, "--auth-user", SENDER, "--auth-password", password]
            return await self.run_program(*command)

        await self.exam(send, CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT_LOGIN, helo="swaks.example")


class CurlTests(ProgramCase):
    """curl."""

    async def test_letters(self) -> None:
        """What curl is given arrives, by smtp:// and smtps://."""
        curl = optional_program("curl", "--version", shows="smtps")

        async def send(way: Way, letter: bytes, recipients: tuple[str, ...], password: str) -> Done:
            scheme = "smtps" if way.tls == "implicit" else "smtp"
            command = [
                curl,
                "-sS",
                "-v",
                f"{scheme}://localhost:{self.port(way)}/curl.example",
                "--cacert",
                str(self.ca),
            ]
            command += ["-T", str(self.file("letter", crlf(letter))), "--mail-from", SENDER]
            for recipient in recipients:
                command += ["--mail-rcpt", recipient]
            if way.tls == "starttls":
                command += ["--ssl-reqd"]
            if way.mechanism:
                command += ["--user", f"{SENDER}:{password}", "--login-options", f"AUTH={way.mechanism}"]
            return await self.run_program(*command)

        await self.exam(send, CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT, helo="curl.example")
        for recipient, arrives in (
            (f"bob@{IDN}", f"bob@{IDN_ASCII}"),
            (f"bücherwurm@{IDN}", f"bücherwurm@{IDN_ASCII}"),
        ):
            done = await send(PLAIN, DOTS, (recipient,), PASSWORD)
            self.assertEqual(done.status, 0, done)
            await self.same_arrives(DOTS, recipients=(arrives,))

    async def test_wrong_port(self) -> None:
        """Who takes the port for STARTTLS for one with implicit TLS, or the other way round, is told by the log what he did."""
        curl = optional_program("curl", "--version", shows="smtps")
        for scheme, port, words in (
            ("smtps", self.submission, "TLS handshake where SMTP was expected: use STARTTLS here"),
            ("smtp", self.submissions, "TLS failed: "),
        ):
            done = await self.run_program(curl, "-sS", "--max-time", "2", f"{scheme}://localhost:{port}")
            self.assertNotEqual(done.status, 0, done)
            await self.logged(words)


class MsmtpTests(ProgramCase):
    """msmtp."""

    async def test_letters(self) -> None:
        """What msmtp is given arrives, with the settings of its configuration file."""
        msmtp = optional_program("msmtp", "--version")

        async def send(way: Way, letter: bytes, recipients: tuple[str, ...], password: str) -> Done:
            lines = [
                "account default",
                "host localhost",
                f"port {self.port(way)}",
                f"from {SENDER}",
                "domain msmtp.example",
                f"tls {'on' if way.tls else 'off'}",
            ]
            if way.tls:
                lines += [f"tls_starttls {'on' if way.tls == 'starttls' else 'off'}", f"tls_trust_file {self.ca}"]
            if way.mechanism:
                lines += [f"auth {way.mechanism.lower()}", f"user {SENDER}", f"password {password}"]
            self.file(".msmtprc", "\n".join(lines) + "\n")
            return await self.run_program(msmtp, "-C", str(self.home / ".msmtprc"), "--", *recipients, stdin=letter)

        await self.exam(send, CLEAR, STARTTLS, PLAIN, LOGIN, SCRAM, IMPLICIT, helo="msmtp.example")
