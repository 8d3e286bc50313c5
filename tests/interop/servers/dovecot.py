"""Dovecot's LMTP server, over TCP and a unix socket."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest import SkipTest

from tests.interop.servers.base import PASSWORD, USER, RealServer
from tests.programs import optional_program


class DovecotAuth(RealServer):
    """Its authentication server alone, for Postfix (https://doc.dovecot.org/configuration_manual/howto/postfix_and_dovecot_sasl/)."""

    name = "Dovecot's auth"

    @classmethod
    def required(cls) -> None:
        optional_program("dovecot", "--version", package="dovecot-core")

    def configure(self) -> None:
        self.write("users", f"{USER}:{{PLAIN}}{PASSWORD}::::::\n")
        self.configuration = self.write(
            "dovecot.conf",
            f"""protocols =
listen = {self.address}
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
ssl = no
disable_plaintext_auth = no
default_internal_user = dovecot
default_login_user = dovenull
auth_mechanisms = plain login cram-md5 scram-sha-256
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {self.folder}/users
}}
service auth {{
  inet_listener {{
    address = {self.address}
    port = {self.port}
  }}
}}
service stats {{
  chroot =
}}
""",
        )

    def command(self) -> Sequence[str]:
        return ["dovecot", "-F", "-c", str(self.configuration)]

    def logs(self) -> list[Path]:
        return [self.folder / "output", self.folder / "log"]


class Dovecot(RealServer):
    """It speaks LMTP only. ``late@`` has a mailbox folder that can't be written as long as it is a file."""

    name = "Dovecot"

    @classmethod
    def required(cls) -> None:
        optional_program("dovecot", "--version", package="dovecot-lmtpd")
        if not Path("/usr/lib/dovecot/lmtp").exists():
            raise SkipTest("Dovecot has no LMTP (Debian package dovecot-lmtpd)")

    def configure(self) -> None:
        self.socket = self.folder / "lmtp.sock"
        self.closed = self.mail / "late"
        (self.folder / "users").write_text(
            "".join(f"{name}:{{PLAIN}}x:65534:65534::{self.mail}/{name}\n" for name in self.boxes)
        )
        self.configuration = self.write(
            "dovecot.conf",
            f"""protocols = lmtp
listen = {self.address}
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
ssl = yes
ssl_cert = <{self.pem}
ssl_key = <{self.pem}
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
mail_location = maildir:{self.mail}/%n
mail_full_filesystem_access = yes
mail_save_crlf = no
auth_username_chars =
recipient_delimiter =
hostname = dovecot.example
postmaster_address = postmaster@dovecot.example
lmtp_add_received_header = yes
lmtp_save_to_detail_mailbox = no
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {self.folder}/users
  default_fields = uid=65534 gid=65534
}}
service lmtp {{
  inet_listener lmtp {{
    address = {self.address}
    port = {self.port}
  }}
  unix_listener {self.socket} {{
    mode = 0666
  }}
}}
service stats {{
  chroot =
}}
""",
        )

    def command(self) -> Sequence[str]:
        return ["dovecot", "-F", "-c", str(self.configuration)]

    def logs(self) -> list[Path]:
        return [self.folder / "output", self.folder / "log"]
