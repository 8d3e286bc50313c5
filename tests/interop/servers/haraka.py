"""Haraka, with a plugin of ours that stores what comes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence

from tests.interop.servers.aiosmtpd import settings
from tests.interop.servers.base import IDLE, PASSWORD, PROGRAMS, USER, RealServer
from tests.programs import fetched, optional_program

CONNECTION = """[main]
smtputf8=true
[haproxy]
hosts[]=
[headers]
max_lines=1000
max_received=100
[max]
bytes={size}
mime_parts=1000
line_length=512
data_line_length=992
[message]
helo=Haraka
close=bye
[uuid]
banner_chars=6
deny_chars=0
"""


class Haraka(RealServer):
    """It breaks lines above 992 octets by itself, and offers neither BDAT nor DSN."""

    name = "Haraka"

    @classmethod
    def required(cls) -> None:
        optional_program("node", "--version", package="nodejs")
        fetched("haraka", "node_modules/Haraka/bin/haraka")

    def configure(self) -> None:
        self.ports = [self.port, self.implicit]
        size = settings(self)["size"]
        listen = f"{self.address}:{self.port},{self.address}:{self.implicit}"
        self.write(
            "config/smtp.ini",
            f"listen={listen}\nsmtps_port={self.implicit}\ninactivity_timeout={IDLE}\nforce_shutdown_timeout=1\nnodes=0\n",
        )
        self.write("config/connection.ini", CONNECTION.format(size=size))
        self.write("config/me", "haraka.example\n")
        self.write("config/plugins", "tls\nauth/flat_file\nstore\n")
        self.write("config/tls.ini", f"key={self.pem}\ncert={self.pem}\n")
        self.write("config/auth_flat_file.ini", f"[core]\nmethods=PLAIN,LOGIN\n[users]\n{USER}={PASSWORD}\n")
        self.write("config/log.ini", "[main]\nlevel=notice\n")
        (self.folder / "plugins").mkdir()
        shutil.copy(PROGRAMS / "haraka_store.js", self.folder / "plugins" / "store.js")

    def environment(self) -> Mapping[str, str]:
        return {"STORE": json.dumps(settings(self))}

    def command(self) -> Sequence[str]:
        return ["node", str(fetched("haraka", "node_modules/Haraka/bin/haraka")), "-c", str(self.folder)]
