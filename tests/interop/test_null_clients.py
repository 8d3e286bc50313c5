"""Small programs that stand in the place of sendmail and pass mail on to a gateway: nullmailer, DMA."""

from __future__ import annotations

from tests.interop.base import CLEAR, IMPLICIT, IMPLICIT_LOGIN, LOGIN, PLAIN, SENDER, STARTTLS, Done, ProgramCase, Way
from tests.interop.layers import Layers
from tests.programs import fetched


class NullmailerTests(ProgramCase):
    """nullmailer."""

    async def test_letters(self) -> None:
        """What nullmailer has in its queue arrives, by each way that it knows."""
        smtp = str(fetched("nullmailer", "usr/lib/nullmailer/smtp"))

        async def send(way: Way, letter: bytes, recipients: tuple[str, ...], password: str) -> Done:
            # A file of its queue, open as descriptor 3.
            letter = "".join(f"{line}\n" for line in (SENDER, *recipients, "")).encode() + letter
            command = [smtp, "--host=localhost", f"--port={self.port(way)}", f"--x509cafile={self.ca}"]
            command += {"": [], "starttls": ["--starttls"], "implicit": ["--tls"]}[way.tls]
            if way.mechanism:
                command += [f"--user={SENDER}", f"--pass={password}"]
            if way.mechanism == "LOGIN":
                command.append("--auth-login")
            words = " ".join(f"'{word}'" for word in command)
            return await self.run_program(
                "sh",
                "-c",
                f"exec {words} </dev/null 3<'{self.file('queued', letter)}'",
                environment={"HELOHOST": "nullmailer.example"},
            )

        await self.exam(send, CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT, helo="nullmailer.example", old=(CLEAR, STARTTLS))


class DmaTests(ProgramCase):
    """The DragonFly Mail Agent."""

    async def test_letters(self) -> None:
        """What it is handed as sendmail arrives, by each way that it knows."""
        setup = f"mkdir -p /etc/dma /var/spool/dma /var/mail; cp {self.home}/dma.conf {self.home}/auth.conf /etc/dma\n"
        setup += "chown -R root:mail /etc/dma /var/spool/dma; chmod 640 /etc/dma/*; chmod 2770 /var/spool/dma"
        self.file("dma.conf", "")
        self.file("auth.conf", "")
        machine = Layers(self.folder, ("dma",), setup)

        async def send(way: Way, letter: bytes, recipients: tuple[str, ...], password: str) -> Done:
            lines = [
                "SMARTHOST localhost",
                f"PORT {self.port(way)}",
                "MAILNAME dma.example",
                "AUTHPATH /etc/dma/auth.conf",
            ]
            lines += ["SECURETRANSFER"] if way.tls else []
            lines += ["STARTTLS"] if way.tls == "starttls" else []
            self.file("dma.conf", "\n".join(lines) + "\n")
            self.file("auth.conf", f"{SENDER}|localhost:{password}\n" if way.mechanism else "")
            return await self.run_program(*machine.command("dma", "-D", "-i", "-f", SENDER, *recipients), stdin=letter)

        # The longest lines are too long for it.
        await self.exam(
            send,
            CLEAR,
            STARTTLS,
            LOGIN,
            IMPLICIT_LOGIN,
            traces=1,
            queues=True,
            edit=lambda letter: letter.replace(b"x" * 998, b"x" * 996),
        )
