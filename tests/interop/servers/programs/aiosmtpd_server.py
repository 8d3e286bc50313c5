"""A server made of aiosmtpd: run with its configuration as JSON, on the interpreter that has the library."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

CONFIGURATION = json.loads(sys.argv[1])


class Store:
    """One file a recipient."""

    number = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        local = address.rpartition("@")[0]
        if local == "nobody":
            return "550 5.1.1 nobody of that name"
        if local == "late" and Path(CONFIGURATION["closed"]).exists():
            return "451 4.7.1 greylisted, come back"
        if len(envelope.rcpt_tos) >= CONFIGURATION["recipients"]:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        for address in envelope.rcpt_tos:
            Store.number += 1
            new = Path(CONFIGURATION["mail"], address.rpartition("@")[0], "new")
            new.mkdir(parents=True, exist_ok=True)
            part = new.with_name("part")
            part.write_bytes(envelope.content)
            part.rename(new / f"{time.time_ns()}.{Store.number}")
        return "250 2.0.0 stored"


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Whether it is the one user that there is."""
    good = data.login == CONFIGURATION["user"].encode() and data.password == CONFIGURATION["password"].encode()
    return AuthResult(success=good)


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(CONFIGURATION["pem"])
if CONFIGURATION["limited"]:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
common: dict[str, Any] = {
    "hostname": CONFIGURATION["address"],
    "server_hostname": "aiosmtpd.example",
    "data_size_limit": CONFIGURATION["size"],
    "timeout": CONFIGURATION["idle"],
    "enable_SMTPUTF8": True,
    "authenticator": authenticate,
}
controllers = [
    Controller(Store(), port=CONFIGURATION["port"], tls_context=context, **common),
    Controller(Store(), port=CONFIGURATION["implicit"], ssl_context=context, auth_require_tls=False, **common),
]
for controller in controllers:
    controller.start()
asyncio.new_event_loop().run_forever()
