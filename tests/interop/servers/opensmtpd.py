"""OpenSMTPD, from its package, which is unpacked only."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.interop.layers import Layers
from tests.interop.servers.base import LIMITED_SIZE, MOST_RECIPIENTS, PASSWORD, PROGRAMS, USER, RealServer
from tests.programs import fetched

SETUP = """for user in opensmtpd:891 opensmtpq:892; do
    echo "${{user%:*}}:x:${{user#*:}}:${{user#*:}}::/:/bin/false" >>/etc/passwd
    echo "${{user%:*}}:x:${{user#*:}}:" >>/etc/group
done
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
chmod 755 /var/lib/opensmtpd/empty
cp {configuration} /etc/smtpd.conf"""


class OpenSMTPD(RealServer):
    """It offers PIPELINING, DSN, 8BITMIME, no SMTPUTF8 and no BDAT. It closes idle connections after five minutes only."""

    name = "OpenSMTPD"

    @classmethod
    def required(cls) -> None:
        fetched("opensmtpd")

    def configure(self) -> None:
        self.ports = [self.port, self.implicit]
        size = LIMITED_SIZE if self.limited else 60_000_000
        self.pem.chmod(0o600)  # others' keys it doesn't take
        crypted = subprocess.run(
            ["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True
        ).stdout.strip()
        self.write("credentials", f"{USER} {crypted}\n")
        self.configuration = self.write(
            "smtpd.conf",
            f"""pki ours cert "{self.pem}"
pki ours key "{self.pem}"
table credentials file:{self.folder}/credentials
table everybody {{ "@" = nobody }}
smtp max-message-size {size}
smtp limit max-rcpt {MOST_RECIPIENTS}
smtp limit max-mails 1000
filter recipients proc-exec "/usr/bin/python3 {PROGRAMS}/opensmtpd_filter.py {self.closed}"
listen on {self.address} port {self.port} tls pki ours auth-optional <credentials> hostname opensmtpd.example filter recipients
listen on {self.address} port {self.implicit} smtps pki ours auth-optional <credentials> hostname opensmtpd.example filter recipients
action "store" maildir "{self.mail}/%{{rcpt.user}}" virtual <everybody>
match from any for any action "store"
""",
            0o600,
        )
        self.layers = Layers(self.folder, ("opensmtpd",), SETUP.format(configuration=self.configuration))

    def command(self) -> Sequence[str]:
        return self.layers.command("/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf")
