"""A server made of aiosmtpd."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

from tests.interop.servers.base import IDLE, LIMITED_SIZE, MOST_RECIPIENTS, PASSWORD, PROGRAMS, USER, RealServer
from tests.programs import fetched


class Aiosmtpd(RealServer):
    """It offers neither PIPELINING nor BDAT nor DSN."""

    name = "aiosmtpd"

    @classmethod
    def required(cls) -> None:
        fetched("aiosmtpd", "aiosmtpd")

    def configure(self) -> None:
        self.ports = [self.port, self.implicit]

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(fetched("aiosmtpd"))}

    def command(self) -> Sequence[str]:
        return [sys.executable, str(PROGRAMS / "aiosmtpd_server.py"), json.dumps(settings(self))]


def settings(server: RealServer) -> dict[str, object]:
    """What a server that is a script of ours is told."""
    return {
        "address": server.address,
        "port": server.port,
        "implicit": server.implicit,
        "pem": str(server.pem),
        "mail": str(server.mail),
        "closed": str(server.closed),
        "limited": server.limited,
        "recipients": MOST_RECIPIENTS,
        "size": LIMITED_SIZE if server.limited else 60_000_000,
        "idle": IDLE,
        "user": USER,
        "password": PASSWORD,
    }
