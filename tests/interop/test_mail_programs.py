"""Programs that people write mail with: mutt, S-nail, bsd-mailx, git send-email."""

from __future__ import annotations

from tests.interop.base import (
    ATTACHMENT,
    BAD_PASSWORD,
    CLEAR,
    IDN,
    IDN_ASCII,
    IMPLICIT,
    LOGIN,
    NO_SUCH_USER,
    OTHER,
    PASSWORD,
    PLAIN,
    RECIPIENT,
    SCRAM,
    SENDER,
    STARTTLS,
    TOO_BIG,
    TOO_LARGE,
    UNKNOWN,
    UTF8_BODY,
    Done,
    ProgramCase,
    Way,
)
from tests.programs import optional_program


class MuttTests(ProgramCase):
    """mutt."""

    async def test_messages(self) -> None:
        """What mutt makes arrives, by SMTP in each way that it knows, and by seg-sendmail."""
        mutt = optional_program("mutt", "-v", shows="+USE_SMTP")
        attachment = self.file("octets.bin", ATTACHMENT)

        async def send(
            way: Way | None, *recipients: str, password: str = PASSWORD, body: str = UTF8_BODY, attach: bool = False
        ) -> Done:
            lines = [
                f'set from="{SENDER}" realname="Älice" use_from=yes use_envelope_from=yes copy=no charset=utf-8 send_charset=utf-8',
                "set ssl_starttls=no ssl_force_tls=no hostname=mutt.example",
            ]
            if way is None:
                lines.append(f'set sendmail="{self.sendmail()} -oem -oi"')
            else:
                scheme, user = "smtps" if way.tls == "implicit" else "smtp", f"{SENDER}@" if way.mechanism else ""
                lines += [f'set smtp_url="{scheme}://{user}localhost:{self.port(way)}"', f'set smtp_pass="{password}"']
                lines.append(f"set smtp_authenticators={way.mechanism.lower() or 'plain'}")
            if way is not None and way.tls:
                lines += [f"set certificate_file={self.ca} ssl_ca_certificates_file={self.ca}"]
                lines.append("set ssl_force_tls=yes ssl_starttls=yes")
            rc = self.file("muttrc", "\n".join(lines) + "\n")
            command = [mutt, "-n", "-F", str(rc), "-s", "Grüße"]
            command += ["-a", str(attachment), "--"] if attach else ["--"]
            return await self.run_program(*command, *recipients, stdin=body.encode())

        for way in (CLEAR, STARTTLS, PLAIN, LOGIN, SCRAM, IMPLICIT, None):
            done = await send(way, RECIPIENT, OTHER, attach=way in (IMPLICIT, None))
            self.assertEqual(done.status, 0, f"{way} {done}")
            message = await self.parsed_arrives(recipients=(RECIPIENT, OTHER))
            self.assertEqual(message["Subject"], "Grüße")
            self.has_text(message)
            if way in (IMPLICIT, None):
                self.has_attachment(message)
            if way is not None:
                self.assertIn(f" with {way.protocol} id", self.last_trace)
        await self.authenticated("PLAIN", "LOGIN", "SCRAM-SHA-256", "PLAIN")
        for way in (PLAIN, None):
            done = await send(way, f"bob@{IDN}")
            self.assertEqual(done.status, 0, done)
            await self.parsed_arrives(recipients=(f"bob@{IDN_ASCII}",))
        for done, words in (
            (await send(PLAIN, UNKNOWN), NO_SUCH_USER),
            (await send(None, UNKNOWN), "nobody takes mail for"),
            (await send(PLAIN, RECIPIENT, body=TOO_LARGE.decode()), TOO_BIG),
            (await send(PLAIN, RECIPIENT, password="wrong"), "SASL authentication failed"),
        ):
            self.assertNotEqual(done.status, 0, done)
            self.assertIn(words, done.output)


class SnailTests(ProgramCase):
    """S-nail, which some systems call mailx."""

    async def test_messages(self) -> None:
        """What S-nail makes arrives, by SMTP in each way that it knows, and by seg-sendmail."""
        snail = optional_program("s-nail", "--version")
        attachment = self.file("octets.bin", ATTACHMENT)

        async def send(
            way: Way | None, *recipients: str, password: str = PASSWORD, body: str = UTF8_BODY, attach: bool = False
        ) -> Done:
            secret = password.replace(" ", "%20")
            user = f"{SENDER.replace('@', '%40')}:{secret}@" if way and way.mechanism else ""
            lines = [
                "set v15-compat ttycharset=utf-8 sendcharsets=utf-8 sendwait hostname=snail.example",
                f"set from={SENDER}",
            ]
            if way is None:
                lines.append(f"set mta={self.sendmail()} r-option-implicit")
            else:
                scheme = "smtps" if way.tls == "implicit" else "smtp"
                lines.append(f"set mta={scheme}://{user}localhost:{self.port(way)}")
                lines.append(f"set smtp-auth={way.mechanism.lower() or 'none'}")
            if way is not None and way.tls:
                lines += [f"set tls-verify=strict tls-ca-file={self.ca} tls-ca-no-defaults"]
            if way is not None and way.tls == "starttls":
                lines += ["set smtp-use-starttls"]
            rc = self.file("mailrc", "\n".join(lines) + "\n")
            command = [snail, "-:u", "-s", "Grüße", *(["-a", str(attachment)] if attach else []), *recipients]
            return await self.run_program(*command, stdin=body.encode(), environment={"MAILRC": str(rc)})

        for way in (CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT, None):
            done = await send(way, RECIPIENT, OTHER, attach=way in (IMPLICIT, None))
            self.assertEqual(done.status, 0, f"{way} {done}")
            message = await self.parsed_arrives(recipients=(RECIPIENT, OTHER))
            self.assertEqual(message["Subject"], "Grüße")
            if way in (IMPLICIT, None):
                self.has_attachment(message)
            else:
                self.has_text(message)
            if way is not None:
                # Without AUTH it says HELO, in TLS too.
                self.assertIn(f" with {way.protocol if way.mechanism else 'SMTP'} id", self.last_trace)
        for done, words in (
            (await send(PLAIN, UNKNOWN), NO_SUCH_USER),
            (await send(None, UNKNOWN), "nobody takes mail for"),
            (await send(PLAIN, RECIPIENT, body=TOO_LARGE.decode()), TOO_BIG),
            (await send(PLAIN, RECIPIENT, password="wrong"), BAD_PASSWORD),
        ):
            self.assertNotEqual(done.status, 0, done)
            self.assertIn(words, done.output)


class BsdMailxTests(ProgramCase):
    """BSD mailx, which Debian's scripts send with."""

    async def test_messages(self) -> None:
        """What it makes arrives by seg-sendmail; what is refused is told."""
        mailx = optional_program("bsd-mailx", "-V")
        rc = self.file(".mailrc", f"set sendmail={self.sendmail()}\n")

        async def send(recipients: tuple[str, ...], body: str, *options: str) -> Done:
            command = (mailx, "-n", "-s", "Grüße", *options, *recipients)
            return await self.run_program(*command, stdin=body.encode(), environment={"MAILRC": str(rc)})

        done = await send(
            (RECIPIENT, OTHER), UTF8_BODY, "-r", SENDER, "-c", "dave@receiver.example", "-a", "X-Any: thing"
        )
        self.assertEqual((done.status, done.output), (0, ""))
        message = await self.parsed_arrives(recipients=(RECIPIENT, OTHER, "dave@receiver.example"))
        self.assertEqual(message["X-Any"], "thing")
        self.assertEqual(message.get_payload(decode=True).decode().replace("\r\n", "\n").rstrip(), UTF8_BODY.rstrip())
        done = await send((UNKNOWN,), "x\n", "-r", SENDER)
        self.assertNotEqual(done.status, 0, done)
        self.assertIn("nobody takes mail for", done.output)


class GitTests(ProgramCase):
    """git send-email."""

    async def test_patch(self) -> None:
        """A patch arrives as git made it, by SMTP in each way and by seg-sendmail."""
        git = optional_program("git", "send-email", "--dump-aliases", package="git-email")
        patch = self.file(
            "0001.patch",
            "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
            f"From: Alice <{SENDER}>\nDate: Thu, 2 Jul 2026 10:00:00 +0000\nSubject: [PATCH] Grüße\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n" + UTF8_BODY + "---\n 2.39\n",
        )

        async def send(way: Way | None, *recipients: str, password: str = PASSWORD) -> Done:
            options = [f"--to={recipient}" for recipient in recipients]
            if way is None:
                options += [f"--sendmail-cmd={self.sendmail()}", "--envelope-sender=auto"]
            else:
                options += [
                    "--smtp-server=localhost",
                    f"--smtp-server-port={self.port(way)}",
                    "--smtp-domain=git.example",
                ]
                options += {"": [], "starttls": ["--smtp-encryption=tls"], "implicit": ["--smtp-encryption=ssl"]}[
                    way.tls
                ]
                options += [f"--smtp-ssl-cert-path={self.ca}"]
                if way.mechanism:
                    options += [f"--smtp-user={SENDER}", f"--smtp-pass={password}", f"--smtp-auth={way.mechanism}"]
            return await self.run_program(
                git,
                "-c",
                "user.name=Alice",
                "-c",
                f"user.email={SENDER}",
                "send-email",
                "--confirm=never",
                "--suppress-cc=all",
                f"--from=Alice <{SENDER}>",
                *options,
                str(patch),
            )

        for way in (CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT, None):
            done = await send(way, RECIPIENT, OTHER)
            self.assertEqual(done.status, 0, f"{way} {done}")
            message = await self.parsed_arrives(recipients=(RECIPIENT, OTHER))
            self.has_text(message, UTF8_BODY + "---\n 2.39")
            if way is not None:
                self.assertIn(f" with {way.protocol} id", self.last_trace)
        for done, words in (
            (await send(PLAIN, UNKNOWN), NO_SUCH_USER),
            (await send(None, UNKNOWN), "nobody takes mail for"),
            (await send(PLAIN, RECIPIENT, password="wrong"), BAD_PASSWORD),
        ):
            self.assertNotEqual(done.status, 0, done)
            self.assertIn(words, done.output)
