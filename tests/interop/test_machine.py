"""What a machine's own programs send to root, by seg-sendmail in the place of /usr/sbin/sendmail.

cron, smartd's script and logwatch are run; of apt-listchanges and unattended-upgrades the functions that send are taken from their sources;
mdadm, which needs a disk array that fails, is stood in for by its command line and its text.
"""

from __future__ import annotations

import sys

from tests.interop.base import HOSTNAME, UTF8_BODY, Done, ProgramCase
from tests.interop.layers import Layers
from tests.programs import fetched, optional_program

ADMINISTRATOR = "admin@receiver.example"
ROOT = f"root@{HOSTNAME}"

# Runs one function of a program whose modules aren't all here: source, name of the function, and what it is called with.
ONE_FUNCTION = """\
import ast, email.charset, email.header, email.message, subprocess, sys
from email.message import Message
from types import SimpleNamespace
path, name, text = sys.argv[1], sys.argv[2], sys.stdin.read()
tree = ast.parse(open(path).read())
(function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
says = lambda *words: print(*words)
space = dict(globals(), ALCLog=SimpleNamespace(info=says, warning=says), _=str, SENDMAIL_BINARY="/usr/sbin/sendmail", email=email)
exec(compile(ast.Module([function], []), path, "exec"), space)
config = SimpleNamespace(email_address="root", email_format="text")
sys.exit(space[name](*eval(sys.argv[3])))
"""

MDADM = """\
From: mdadm monitoring <root@{host}>
To: root
Subject: DegradedArray event on /dev/md0:{host}

This is an automatically generated mail message from mdadm
running on {host}

A DegradedArray event had been detected on md device /dev/md0.

Faithfully yours, etc.

P.S. The /proc/mdstat file currently contains the following:

Personalities : [raid1]
md0 : active raid1 sda1[0]
.
"""


class MachineTests(ProgramCase):
    """Each letter reaches the administrator, with addresses that others take."""

    def machine(self, *packages: str, setup: str = "") -> Layers:
        """A machine whose sendmail is this gateway's."""
        setup = f"rm -f /usr/sbin/sendmail /usr/lib/sendmail\ncp {self.sendmail()} /usr/sbin/sendmail\n{setup}"
        return Layers(self.folder, packages, setup)

    async def arrives(self, text: str, *, subject: str, sender: str = ROOT) -> None:
        """The next message is this one, for the administrator."""
        message = await self.parsed_arrives(recipients=(ADMINISTRATOR,), sender=sender)
        body = message.get_body()
        assert body is not None
        self.assertEqual(body.get_content().replace("\r\n", "\n").rstrip(), text.rstrip())
        self.assertIn(subject, message["Subject"])
        for field in ("From", "Date", "Message-ID"):
            self.assertEqual(len(message.get_all(field, [])), 1, message.as_string())
        self.assertIn("@", message["From"].addresses[0].addr_spec)
        self.assertTrue(message["From"].addresses[0].domain, message["From"])

    async def test_cron(self) -> None:
        """crond mails what a job prints to root."""
        cron = optional_program("cron", "-h", package="cron")
        printed = self.file("printed", UTF8_BODY)
        setup = "rm -rf /etc/cron.d /var/spool/cron/crontabs/* /run/crond.*; mkdir /etc/cron.d\n"
        setup += f"echo '@reboot root cat {printed}' >/etc/crontab\n"
        setup += "printf '%s\\n' 'LANG=C.UTF-8' >/etc/default/locale"
        machine = self.machine(setup=setup)
        await self.start_program(*machine.command(cron, "-f"))
        await self.arrives(UTF8_BODY, subject="Cron <root@")

    async def test_cron_command(self) -> None:
        """The command line of cron, for machines on which none can be started."""
        letter = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> job\nMIME-Version: 1.0\n"
        letter += (
            "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <LOGNAME=root>\n\n"
        )
        command = (self.sendmail(), "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root")
        done = await self.run_program(*command, stdin=(letter + UTF8_BODY).encode())
        self.assertEqual((done.status, done.output), (0, ""))
        await self.arrives(UTF8_BODY, subject="Cron <root@host> job")

    async def test_smartd(self) -> None:
        """The script with which smartd warns, by mail(1)."""
        optional_program("bsd-mailx", "-V")
        optional_program("run-parts", "--version", package="debianutils")
        machine = self.machine("smartmontools", setup="rm -f /usr/bin/mail; ln -s /usr/bin/bsd-mailx /usr/bin/mail")
        told = {
            "SMARTD_MAILER": "/usr/share/smartmontools/smartd-runner",
            "SMARTD_ADDRESS": "root",
            "SMARTD_MESSAGE": "TEST EMAIL from smartd for device: /dev/sda",
            "SMARTD_FAILTYPE": "EmailTest",
            "SMARTD_PREVCNT": "0",
            "SMARTD_DEVICEINFO": "Grün 1",
        }
        script = "/usr/share/smartmontools/smartd_warning.sh"
        done = await self.run_program(*machine.command("sh", script), environment=told)
        self.assertEqual(done.status, 0, done)
        message = await self.parsed_arrives(recipients=(ADMINISTRATOR,), sender=ROOT)
        self.assertIn("SMART error (EmailTest)", message["Subject"])
        self.assertIn("TEST EMAIL from smartd", message.as_bytes().decode())

    async def test_logwatch(self) -> None:
        """logwatch mails its report."""
        machine = self.machine("logwatch", setup="mkdir -p /var/cache/logwatch")
        report = (
            "perl",
            "/usr/share/logwatch/scripts/logwatch.pl",
            "--output",
            "mail",
            "--mailto",
            "root",
            "--service",
            "zz-sys",
        )
        done = await self.run_program(*machine.command(*report, "--range", "all"))
        self.assertEqual(done.status, 0, done)
        message = await self.parsed_arrives(recipients=(ADMINISTRATOR,), sender=ROOT)
        self.assertIn("Logwatch for ", message["Subject"])
        self.assertIn("Logwatch End", message.as_bytes().decode())

    async def test_apt(self) -> None:
        """apt-listchanges (8-bit, without From) and unattended-upgrades (quoted-printable)."""
        changes = str(fetched("apt-listchanges", "usr/share/apt-listchanges/apt_listchanges.py"))
        upgrades = str(fetched("unattended-upgrades", "usr/bin/unattended-upgrade"))
        machine = self.machine("apt-listchanges")

        async def call(path: str, function: str, arguments: str) -> Done:
            command = machine.command(sys.executable, "-c", ONE_FUNCTION, path, function, arguments)
            return await self.run_program(*command, stdin=UTF8_BODY.encode())

        done = await call(changes, "mail_changes", "(config, text, 'apt-listchanges: Grüße')")
        self.assertEqual(done.status, 0, done)
        await self.arrives(UTF8_BODY, subject="apt-listchanges: Grüße")
        done = await call(upgrades, "_send_mail_using_sendmail", "('root', 'root', 'unattended-upgrades result', text)")
        self.assertEqual(done.status, 0, done)
        await self.arrives(UTF8_BODY, subject="unattended-upgrades result")

    async def test_mdadm(self) -> None:
        """mdadm's monitor: its text into ``sendmail -t``."""
        letter = MDADM.format(host=HOSTNAME)
        done = await self.run_program(self.sendmail(), "-t", stdin=letter.encode())
        self.assertEqual((done.status, done.output), (0, ""))
        # Without -i a dot alone ends the message, as in Sendmail.
        await self.arrives(letter.partition("\n\n")[2].removesuffix(".\n"), subject="DegradedArray event on /dev/md0")
