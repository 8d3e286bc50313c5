"""Relays messages from smtp-source to smtp-sink through this gateway and through Postfix, in turn, and compares.

``python -m bench.relay [--messages 2000] [--size 4096] [--sessions 20] [--rounds 3]``

Needs the Debian package postfix (its programs only; the running Postfix of the machine, if any, isn't touched) and root,
because Postfix wants it. Both are durable before their 250 and send to the same kind of sink, without TLS and DNS:
Postfix by ``relayhost``, the gateway by an SMTP route. A round's time runs from the start of smtp-source until the sink has
all messages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SINK_PORT, SEG_PORT, POSTFIX_PORT = 10925, 10926, 10927

SEG_TOML = """
[gateway]
hostname = "gateway.bench.example"
[[listener]]
port = {port}
[dns]
resolvers = ["127.0.0.1:9"]
[delivery]
allow_loopback = true
[log]
json = {json}
"""
DESTINATIONS_TOML = '[route."ALL"]\nhosts = ["127.0.0.1:{sink}"]\n'

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.bench.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{sink}
smtp_tls_security_level = none
smtpd_tls_security_level = none
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
"""
MASTER_CF = """
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def wait_for_port(port: int) -> None:
    """Until somebody listens there, 20 seconds at the most."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens at port {port}")


@contextlib.contextmanager
def gateway(folder: Path, json: bool, more: str = "") -> Iterator[int]:
    """The gateway as a process, with more of a configuration; gives its pid."""
    (folder / "seg.toml").write_text(SEG_TOML.format(port=SEG_PORT, json=str(json).lower()) + more)
    (folder / "destinations.toml").write_text(DESTINATIONS_TOML.format(sink=SINK_PORT))
    twistd = "from twisted.scripts.twistd import run; run()"
    command = [sys.executable, "-c", twistd, "-n", "--pidfile=", "--logfile=twistd.log", "seg", "-c", "seg.toml"]
    root = str(Path(__file__).resolve().parent.parent)
    with subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": root}) as process:
        try:
            wait_for_port(SEG_PORT)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextlib.contextmanager
def postfix(folder: Path) -> Iterator[int]:
    """A Postfix of its own, with nothing but this folder."""
    folder.chmod(0o755)
    (folder / "main.cf").write_text(MAIN_CF.format(folder=folder, sink=SINK_PORT))
    (folder / "master.cf").write_text(MASTER_CF.format(port=POSTFIX_PORT))
    for name, owner in (("queue", "root"), ("data", "postfix")):
        (folder / name).mkdir()
        shutil.chown(folder / name, owner)
    subprocess.run(["/usr/sbin/postfix", "-c", str(folder), "start"], check=True, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(POSTFIX_PORT)
        yield 0
    finally:
        subprocess.run(["/usr/sbin/postfix", "-c", str(folder), "stop"], check=True, stderr=subprocess.DEVNULL)


def relay(port: int, messages: int, size: int, sessions: int) -> float:
    """Seconds until the sink has all messages."""
    user = pwd.getpwuid(os.getuid()).pw_name
    sink = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", user, "-M", str(messages), f"127.0.0.1:{SINK_PORT}", "1000"])
    wait_for_port(SINK_PORT)
    began = time.monotonic()
    source = ["/usr/sbin/smtp-source", "-s", str(sessions), "-m", str(messages), "-l", str(size)]
    ends = ["-f", "alice@sender.example", "-t", "bob@receiver.example", f"127.0.0.1:{port}"]
    subprocess.run([*source, *ends], check=True, timeout=120)
    sink.wait(120)
    return time.monotonic() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-json", action="store_true", help="run the gateway without the JSON twin of its log")
    options = parser.parse_args()
    if not shutil.which("/usr/sbin/smtp-source") or os.getuid():
        raise SystemExit("needs root and the Debian package postfix")
    work = (options.messages, options.size, options.sessions)
    rates: dict[str, list[float]] = {"seg": [], "postfix": []}
    with (
        tempfile.TemporaryDirectory(prefix="seg-bench-") as one,
        tempfile.TemporaryDirectory(prefix="seg-bench-") as two,
        gateway(Path(one), not options.no_json),
        postfix(Path(two)),
    ):
        for _ in range(options.rounds):
            for name, port in (("seg", SEG_PORT), ("postfix", POSTFIX_PORT)):
                rates[name].append(options.messages / relay(port, *work))
    for name, values in rates.items():
        print(
            f"{name:8s} {statistics.median(values):7.0f} messages/s  (rounds: {', '.join(f'{v:.0f}' for v in values)})"
        )
    ratios = [a / b for a, b in zip(rates["seg"], rates["postfix"], strict=True)]
    print(f"seg/postfix {statistics.median(ratios):.2f}  (rounds: {', '.join(f'{r:.2f}' for r in ratios)})")


if __name__ == "__main__":
    main()
