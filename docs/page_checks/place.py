"""The gateway that the pages' commands are run against, in the lab's small internet: ``python -m page_checks.place FOLDER``.

Prints one line of JSON when all is there (``port``), and ends when its standard input does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.gateway import GatewayProcess
from seg.lab.internet import Internet
from seg.lab.world import MX, TLSA, Policy

SENDER = "alice@sender.example"
OTHER_NAME = Behaviour(certificate=Certificate.OTHER_NAME)
BUSY = Behaviour(mail="451 4.3.2 Not now")
GOOD = (
    "enforce.example",
    "example.com",
    "example.net",
    "gmail.com",
    "partner.example",
    "works.example",
    "sender.example",
)

SUBSCRIPTION = """
[[log_subscription]]
name = "everything"
file = "all.log"
"""


async def make(folder: Path) -> tuple[Internet, GatewayProcess]:
    """Domains that do well, one whose certificate is wrong, one that has no time, one with DANE; and messages that wait."""
    internet = await Internet.start(reactor, folder / "internet")  # type: ignore[arg-type]
    for name in GOOD:
        await internet.add_domain(name, policy=Policy())
    await internet.add_domain("broken.example", mx=[MX("mx.broken.example", behaviour=OTHER_NAME)], policy=Policy())
    testing = [MX("mx.testing.example", behaviour=OTHER_NAME)]
    await internet.add_domain("testing.example", mx=testing, policy=Policy(mode="testing"))
    for name in ("later.example", "spare.example"):
        await internet.add_domain(name, mx=[MX(f"mx.{name}", behaviour=BUSY)])
    signed = [MX("mx.signed.example", tlsa=(TLSA(),))]
    await internet.add_domain("signed.example", mx=signed, policy=Policy(), secure=True)
    settings = {"queue": {"first_retry": 600.0, "max_retry": 3600.0}, "gateway": {"hostname": "gateway.lab.example"}}
    files = internet.gateway_configuration(settings=settings)
    files = attrs.evolve(files, seg_toml=files.seg_toml + SUBSCRIPTION)
    gateway = GatewayProcess(reactor, folder, files)  # type: ignore[arg-type]
    await gateway.start()
    await gateway.seg("debug", "partner.example", "-n", "1")
    for domain in ("broken.example", "later.example", "spare.example", "testing.example", "partner.example"):
        await gateway.inject(SENDER, f"bob@{domain}")
    await gateway.wait_for_log("4.7.5")
    await gateway.wait_for_log("4.3.2")
    await internet.wait_for_messages("testing.example")
    await internet.wait_for_messages("partner.example")
    return internet, gateway


async def serve(reactor: object, folder: str) -> None:
    """Until standard input ends."""
    internet, gateway = await make(Path(folder))
    print(json.dumps({"port": gateway.port}), flush=True)
    ended: Deferred[bytes] = deferToThread(sys.stdin.buffer.read)
    await ended
    await gateway.stop()
    await internet.stop()


if __name__ == "__main__":
    react(serve, sys.argv[1:])
