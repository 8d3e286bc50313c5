"""How long others wait while one message goes to many domains, and what each recipient costs.

``python -m bench.recipients [--recipients 100 300 1000] [--outcome taken|later|refused]``

A gateway in the lab's internet (`seg.lab`) gets one message to so many recipients, each in a domain of its own with an MX record of its
own; all have the same host. Meanwhile another process says NOOP again and again on a connection of its own, and ``seg status`` is run.
Told are, for each number: seconds until all had their outcome, CPU milliseconds of the gateway in all and for each recipient (those
after the message was handed in), the longest turn of its reactor in CPU milliseconds (which say the same on a busy machine), and the
median, 99th percentile and longest wait for the answer to NOOP, and the longest ``seg status``, start of the interpreter included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorProcess
from twisted.internet.task import deferLater, react

from seg.lab.behaviour import Behaviour
from seg.lab.gateway import RUN, GatewayProcess
from seg.lab.internet import Internet
from seg.lab.world import MX

TAKEN, LATER, REFUSED = "taken", "later", "refused"
EVENTS = {TAKEN: "recipients_delivered", LATER: "recipient_delayed", REFUSED: "recipient_bounced"}
STATUS_EVERY = 3.0  # seconds: a start of the interpreter takes what the lab needs itself
SETTINGS = {
    "receive": {"max_idle_commands": 1_000_000_000, "max_refusals": 1_000_000_000},
    "queue": {"first_retry": 600.0, "max_retry": 600.0},
    "dns": {
        "timeout": 10.0,
        "lifetime": 30.0,
    },  # one name server answers for all, and has to read and write each datagram itself
}
# Run by an interpreter of its own: the waits for the answers to NOOP in seconds, one a line, until its standard input ends.
PROBE = """
import socket, sys, threading, time
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as connection:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    file = connection.makefile("rb")
    file.readline()
    while not over.is_set():
        began = time.monotonic()
        connection.sendall(b"NOOP\\r\\n")
        file.readline()
        print(time.monotonic() - began)
        time.sleep(0.002)
"""

# The gateway with a look at each turn of its reactor; writes the seconds of CPU time of the longest one at the end.
TWISTD = """
import sys, time
from twisted.internet import reactor
from twisted.scripts.twistd import run
begin, last, longest = reactor.runUntilCurrent, None, 0.0
def turn():
    global last, longest
    now = time.thread_time()
    if last is not None and reactor.seconds() > started + 2.0:
        longest = max(longest, now - last)
    last = now
    begin()
reactor.runUntilCurrent = turn
started = reactor.seconds()
path = sys.argv.pop(1)
def tell():
    with open(path, "w") as file:
        file.write(str(longest))
reactor.addSystemEventTrigger("after", "shutdown", tell)
run()
"""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, with all its threads."""
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


class NoopProbe:
    """Says NOOP from another process, until `waits` is asked for."""

    def __init__(self, port: int) -> None:
        command = [sys.executable, "-c", PROBE, str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def waits(self) -> list[float]:
        """End it; seconds, in order of size."""
        output, _ = self._process.communicate(timeout=60)
        return sorted(float(line) for line in output.split())


async def add_domains(internet: Internet, recipients: int, outcome: str) -> list[str]:
    """So many domains with one host, which does that to each recipient."""
    code = {TAKEN: "", LATER: "451 4.3.0 later", REFUSED: "550 5.1.1 nobody"}[outcome]
    host = MX("mx.many.example", behaviour=Behaviour(recipients={"*": code} if code else {}))
    await internet.add_receiver(host)
    names = [f"d{number}.example" for number in range(recipients)]
    for name in names:
        internet.nameserver.zone(name, secure=False)
        internet.nameserver.add(name, "MX", f"10 {host.host}.")
    return names


async def measure(reactor: IReactorCore, recipients: int, outcome: str) -> None:
    """One message, and a row of figures."""
    with tempfile.TemporaryDirectory(prefix="seg-bench-") as name:
        folder = Path(name)
        internet = await Internet.start(reactor, folder / "internet")
        domains = await add_domains(internet, recipients, outcome)
        files = internet.gateway_configuration(settings=SETTINGS)
        command = (sys.executable, "-c", TWISTD, str(folder / "longest"), *RUN[3:])
        gateway = GatewayProcess(IReactorProcess(reactor), folder / "gateway", files, command=command)
        await gateway.start()
        await deferLater(reactor, 2.0)  # type: ignore[arg-type]
        probe = NoopProbe(gateway.port)
        try:
            await gateway.inject("alice@sender.example", [f"bob@{domain}" for domain in domains])
            began, cpu, status = time.monotonic(), cpu_seconds(gateway.pid), []
            while len(gateway.events(EVENTS[outcome])) < recipients:
                asked = time.monotonic()
                if asked - began >= STATUS_EVERY * len(status):
                    if (await gateway.seg("status")).status:
                        raise SystemExit("seg status failed")
                    status.append(time.monotonic() - asked)
                await deferLater(reactor, 0.1)  # type: ignore[arg-type]
                if time.monotonic() - began > 50:
                    raise SystemExit(_unfinished(gateway, recipients, outcome))
            seconds, cpu = time.monotonic() - began, cpu_seconds(gateway.pid) - cpu
        finally:
            waits = probe.waits()
            await gateway.stop()
            await internet.stop()
            turn = float((folder / "longest").read_text())
    noop = (turn, statistics.median(waits), waits[int(len(waits) * 0.99)], waits[-1], max(status))
    print(
        f"{recipients:10} {seconds:8.1f} {cpu * 1000:8.0f} {cpu * 1000 / recipients:8.2f}",
        *(f"{wait * 1000:8.1f}" for wait in noop),
        flush=True,
    )


def _unfinished(gateway: GatewayProcess, recipients: int, outcome: str) -> str:
    """What became of them. The lab's name server and its host are one process with what measures: on a busy machine they may keep the
    gateway waiting for so long that it puts attempts off."""
    put_off = Counter(event["error"][:60] for event in gateway.events("recipient_delayed"))
    told = "; ".join(f"{number} put off: {text}" for text, number in put_off.most_common(5))
    return f"{len(gateway.events(EVENTS[outcome]))} of {recipients} after 50 s; {told}"


async def run(reactor: IReactorCore, numbers: Sequence[int], outcome: str) -> None:
    """A row for each number of recipients."""
    print("recipients  seconds   CPU ms     each     turn NOOP p50      p99      max   status", flush=True)
    for recipients in numbers:
        await measure(reactor, recipients, outcome)


def main(arguments: Sequence[str]) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipients", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--outcome", choices=tuple(EVENTS), default=TAKEN)
    chosen = parser.parse_args(arguments)
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, chosen.recipients, chosen.outcome)))


if __name__ == "__main__":
    main(sys.argv[1:])
