"""Exim 4, the light daemon of Debian, from its package, which is unpacked only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.interop.layers import Layers
from tests.interop.servers.base import IDLE, LIMITED_SIZE, MOST_RECIPIENTS, PASSWORD, USER, RealServer
from tests.programs import fetched

PACKAGES = ("exim4-base", "exim4-daemon-light")
# A file named by -C would cost it the rights of root that it delivers with.
SETUP = """echo Debian-exim:x:891:891::/:/bin/false >>/etc/passwd
echo Debian-exim:x:891: >>/etc/group
mkdir -p /etc/exim4
cp {configuration} /etc/exim4/exim4.conf"""


class Exim(RealServer):
    """It offers BDAT, DSN, PIPELINING, and takes octets of any kind."""

    name = "Exim"

    @classmethod
    def required(cls) -> None:
        for package in PACKAGES:
            fetched(package)

    def configure(self) -> None:
        self.ports = [self.port, self.implicit]
        for name in ("spool", "log"):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(0o777)
        self.write("boxes", "".join(f"{name}: {name}\n" for name in self.boxes))
        limits = f"message_size_limit = {LIMITED_SIZE}\n" if self.limited else "message_size_limit = 60M\n"
        if self.limited:
            limits += "tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.2\n"
        self.configuration = self.write(
            "exim.conf",
            f"""primary_hostname = exim.example
domainlist local_domains = *.example
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%slog
local_interfaces = <; {self.address}
daemon_smtp_ports = {self.port} : {self.implicit}
tls_on_connect_ports = {self.implicit}
tls_advertise_hosts = *
tls_certificate = {self.pem}
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
prdr_enable = true
never_users =
recipients_max = {MOST_RECIPIENTS}
smtp_receive_timeout = {IDLE}s
smtp_accept_max_per_connection = 1000
smtp_accept_queue_per_connection = 0
trusted_users = root
keep_environment =
check_rfc2047_length = false
rfc1413_query_timeout = 0s
host_lookup =
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = accept
{limits}
begin acl
acl_rcpt:
  deny local_parts = nobody
       message = 550 5.1.1 nobody of that name
  defer local_parts = late
       condition = ${{if exists{{{self.closed}}}}}
       message = 451 4.7.1 greylisted, come back
  accept

begin routers
all:
  driver = accept
  local_parts = lsearch;{self.folder}/boxes
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = {self.mail}/$local_part_data
  maildir_format
  create_directory
  user = nobody
  group = nogroup
  delivery_date_add
  envelope_to_add
  return_path_add

begin retry
* * F,1h,1m

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
""",
        )
        self.layers = Layers(self.folder, PACKAGES, SETUP.format(configuration=self.configuration))

    def command(self) -> Sequence[str]:
        return self.layers.command("/usr/sbin/exim4", "-bdf", "-q1m")

    def logs(self) -> list[Path]:
        return [self.folder / "output", self.folder / "log" / "paniclog", self.folder / "log" / "mainlog"]
