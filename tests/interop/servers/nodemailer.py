"""A server made of nodemailer's ``smtp-server``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tests.interop.servers.aiosmtpd import settings
from tests.interop.servers.base import PROGRAMS, RealServer
from tests.programs import fetched, optional_program


class Nodemailer(RealServer):
    """It offers PIPELINING, 8BITMIME, SMTPUTF8, and neither BDAT nor DSN."""

    name = "smtp-server"

    @classmethod
    def required(cls) -> None:
        optional_program("node", "--version", package="nodejs")
        fetched("smtp-server", "node_modules/smtp-server")

    def configure(self) -> None:
        self.ports = [self.port, self.implicit]

    def environment(self) -> Mapping[str, str]:
        return {"NODE_PATH": str(fetched("smtp-server", "node_modules"))}

    def command(self) -> Sequence[str]:
        return ["node", str(PROGRAMS / "nodemailer.js"), json.dumps(settings(self))]
