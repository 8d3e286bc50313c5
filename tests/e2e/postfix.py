"""A real Postfix as neighbour of the gateway: one instance with folders and ports of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.programs import optional_program

SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def required() -> None:
    """Skip where there is no Postfix, or nobody who may start one."""
    optional_program("postfix")
    if os.geteuid() != 0:
        raise SkipTest("Postfix is started by root only")


class Postfix:
    """One instance. Blocks: call it in a thread.

    :param settings: lines of main.cf besides.
    :param services: lines of master.cf besides.
    """

    def __init__(self, folder: Path, port: int, settings: str, services: str = "") -> None:
        self.folder = folder
        self.mail = folder / "mail"
        self._conf = folder / "conf"
        for name in ("conf", "spool", "data", "mail"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        shutil.chown(folder / "data", "postfix")
        os.chown(self.mail, 65534, 65534)
        (self._conf / "main.cf").write_text(
            f"""compatibility_level = 3.6
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
smtputf8_enable = yes
strict_smtputf8 = no
alias_maps =
alias_database =
local_recipient_maps =
message_size_limit = 60000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_peername_lookup = no
smtp_line_length_limit = 0
smtp_tls_security_level = none
notify_classes =
{settings}
"""
        )
        (self._conf / "master.cf").write_text(f"127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}{services}")

    def start(self) -> None:
        """Start it; an `OSError` says what it printed."""
        done = subprocess.run(["postfix", "-c", str(self._conf), "start"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(done.stdout + done.stderr)

    def stop(self) -> None:
        """Stop it."""
        subprocess.run(["postfix", "-c", str(self._conf), "stop"], capture_output=True, check=False)

    def log(self) -> str:
        """What it logged."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stored(self) -> list[bytes]:
        """The messages in its mailboxes, with CRLF line ends."""
        files = sorted(self.mail.rglob("new/*"))
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in files]
