"""Postfix, as it is installed, with Dovecot's auth server for AUTH."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from seg.lab.internet import free_port
from tests.e2e.postfix import SERVICES, required
from tests.interop.servers.base import IDLE, LIMITED_SIZE, MOST_RECIPIENTS, PROGRAMS, RealServer
from tests.interop.servers.dovecot import DovecotAuth

IMPLICIT = "-o smtpd_tls_wrappermode=yes"


class Postfix(RealServer):
    """It offers BDAT, DSN, PIPELINING, SMTPUTF8. The limited kind offers no 8BITMIME, BDAT, PIPELINING or SMTPUTF8."""

    name = "Postfix"

    @classmethod
    def required(cls) -> None:
        required()
        DovecotAuth.required()

    async def start(self) -> None:
        await self.auth.start()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        await self.auth.stop()

    def configure(self) -> None:
        self.auth = DovecotAuth(self.folder / "auth", self.address, free_port(), 0, self.pem)
        self.ports = [self.port, self.implicit]
        for name in ("spool", "data"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        shutil.chown(self.folder / "data", "postfix")
        size = LIMITED_SIZE if self.limited else 60_000_000
        limits = (
            "smtpd_discard_ehlo_keywords = 8bitmime, chunking, pipelining, smtputf8, silent-discard\n"
            "smtpd_tls_protocols = >=TLSv1.2, <=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2, <=TLSv1.2\n"
        )
        self.write("conf/domains", "/\\.example$/ x\n")
        self.write(
            "conf/main.cf",
            f"""compatibility_level = 3.6
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = all
inet_protocols = ipv4
queue_directory = {self.folder}/spool
data_directory = {self.folder}/data
maillog_file = {self.folder}/log
maillog_file_prefixes = {self.folder}
smtputf8_enable = yes
strict_smtputf8 = no
alias_maps =
alias_database =
local_recipient_maps =
message_size_limit = {size}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_peername_lookup = no
smtp_tls_security_level = none
notify_classes =
local_header_rewrite_clients =
smtpd_tls_security_level = may
smtpd_tls_chain_files = {self.pem}
smtpd_timeout = {IDLE}s
smtpd_recipient_limit = {MOST_RECIPIENTS}
smtpd_hard_error_limit = 100
smtpd_soft_error_limit = 100
virtual_mailbox_domains = regexp:{self.folder}/conf/domains
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {self.mail}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
recipient_delimiter =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{self.auth.address}:{self.auth.port}
smtpd_sasl_security_options = noanonymous
smtpd_tls_auth_only = yes
smtpd_relay_restrictions = permit_auth_destination, reject
smtpd_recipient_restrictions = check_policy_service unix:private/policy
{limits if self.limited else ""}""",
        )
        policy = (
            f"policy unix - n n - 0 spawn user=nobody argv=/usr/bin/python3 {PROGRAMS}/postfix_policy.py {self.closed}"
        )
        self.write(
            "conf/master.cf",
            f"{self.address}:{self.port} inet n - n - - smtpd\n"
            f"{self.address}:{self.implicit} inet n - n - - smtpd {IMPLICIT}\n{policy}\ntlsmgr unix - - n 1000? 1 tlsmgr\n{SERVICES}",
        )

    def command(self) -> Sequence[str]:
        return ["postfix", "-c", str(self.folder / "conf"), "start-fg"]

    def logs(self) -> list[Path]:
        return [self.folder / "output", self.folder / "log"]

    def stored(self, local: str) -> list[bytes]:
        # There is one mailbox; whom a message is for is said in it.
        return [each for each in super().stored("all") if f"\r\nDelivered-To: {local}@".encode() in each[:1000]]
