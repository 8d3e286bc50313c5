"""Runs docs/install.md and README.md in a bare Debian; the last line says how it went."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bare_root.commands import commands
from tests.bare_root.root import Failed, Root, why_not

PROJECT = Path(__file__).parents[2]
FIRST_MESSAGE = "From a bare Debian to a first message"
# What `seg setup` asks for: host name, networks, address, certificate, submission, postmaster, local users, smart host.
ANSWERS = r"mx.example.com\n\n\n\nn\n\nops@example.com\n\n"
# systemd isn't running: the program of its unit is, as the unit's user, with its capability and its standard error in a file.
SYSTEMCTL = r"""
set +x
systemctl() {
    case "$1" in start | restart | enable | stop) ;; *) return 0 ;; esac
    if [ -e /run/seg.pid ]; then
        kill "$(cat /run/seg.pid)"
        while kill -0 "$(cat /run/seg.pid)" 2>/dev/null; do sleep 0.1; done
        rm /run/seg.pid
    fi
    [ "$1" != stop ] || return 0
    unit=/etc/systemd/system/seg.service
    [ -e "$unit" ] || unit=/usr/lib/systemd/system/seg.service
    (
        cd /var/lib/seg
        umask 0027
        exec setpriv --reuid seg --regid seg --init-groups --inh-caps +net_bind_service --ambient-caps +net_bind_service \
            $(sed -n 's/^ExecStart=//p' "$unit")
    ) >/tmp/log 2>&1 </dev/null &
    echo $! >/run/seg.pid
    until_so seg status
}
until_so() {
    { set +x; } 2>/dev/null
    local left=150
    until "$@" >/dev/null 2>&1; do
        sleep 0.2
        left=$((left - 1))
        [ $left -gt 0 ] || { echo "not within 30 s: $*"; cat /tmp/log; return 1; }
    done
    set -x
}
queued() { seg queue list | grep -qF "$1"; }
set -x
"""
RUNS_WELL = """
seg status
seg check-install
if grep -i 'plugin cache\\|traceback' /tmp/log; then exit 1; fi
"""
PEERS = """
cp /root/seg/tests/bare_root/peers.py /tmp/peers.py
/usr/lib/seg/bin/python3 /tmp/peers.py /root >/tmp/peers.log 2>&1 </dev/null &
until_so test -e /root/ready || { cat /tmp/peers.log; exit 1; }
echo 'its password' >/root/its.pw
seg --config /srv/smart/seg.toml user add gateway --password-stdin </root/its.pw
/usr/lib/seg/bin/twistd --nodaemon --pidfile= --logfile=/tmp/smart.log seg --config /srv/smart/seg.toml </dev/null &
until_so seg --config /srv/smart/seg.toml status || { cat /tmp/smart.log; exit 1; }
"""
DELIVERED = """
seg --config /srv/smart/seg.toml tail | grep 'To: <you@example.com>'
seg tail | grep 'Message done'
seg tail | grep 'verified'
echo | openssl s_client -connect 127.0.0.1:587 -starttls smtp -servername mx.example.com -verify_return_error -brief
echo 'Stays here.' | sendmail friend@example.org
mailq
newaliases
test "$(stat -c %U:%a /etc/seg/certificates/mx.example.com.pem)" = seg:640
"""
# An upgrade keeps what is there; removal keeps configuration and mail; a purge keeps only mail that waits.
LIFE = """
cp /etc/seg/seg.toml /tmp/before
dpkg -i /root/seg/dist/seg_*.deb
cmp /etc/seg/seg.toml /tmp/before
systemctl start
seg status
systemctl stop
mkdir -p /var/lib/seg/spool/cur/00
echo x >/var/lib/seg/spool/cur/00/00000000ffff.env
dpkg --remove seg
test -e /etc/seg/seg.toml
test ! -e /usr/lib/seg
test ! -e /usr/sbin/sendmail
dpkg --purge seg 2>&1 | grep 'are kept in /var/lib/seg/spool'
test ! -e /etc/seg
test ! -e /var/lib/seg/log
test -e /var/lib/seg/spool/cur/00/00000000ffff.env
dpkg -i /root/seg/dist/seg_*.deb
rm -rf /var/lib/seg/spool
dpkg --purge seg
test ! -e /var/lib/seg
test ! -e /etc/systemd/system/multi-user.target.wants/seg.service
"""


def by_pip(root: Root, page: str) -> None:
    """docs/install.md, by pip."""
    root.run(
        "apt-get update; apt-get install -y --no-install-recommends systemd python3-venv ca-certificates", online=True
    )
    lines = [
        *commands(page, "1. User, folders and unit"),
        *commands(page, "2. The program"),
        *commands(page, "Upgrading"),
    ]
    root.run("cd /root/seg\nsystemctl() { :; }\n" + "\n".join(lines), online=True)
    asked = commands(page, "3. The first configuration")
    assert asked == ["cd", "seg setup"]
    lines = ["cd", f"printf '{ANSWERS}' | script -qec 'seg setup' /dev/null", *commands(page, "4. The service")]
    hand_in = "echo hello | sendmail -v root\nuntil_so queued ops@example.com\nmailq\ntest -e /usr/local/share/man/man1/seg.1\n"
    root.run(SYSTEMCTL + "cd /root/seg\n" + "\n".join(lines) + RUNS_WELL + hand_in)


def by_package(root: Root, readme: str) -> float:
    """README.md, from nothing to a first message; returns the seconds that it took."""
    lines = commands(readme, FIRST_MESSAGE)
    first = next(number for number, line in enumerate(lines) if "apt-get install -y ./dist" in line) + 1
    began = time.monotonic()
    root.run("cd /root/seg\n" + "\n".join(lines[:first]), online=True)
    installed = time.monotonic()
    root.run(SYSTEMCTL + "cd\n" + PEERS + "\n".join(lines[first:]) + RUNS_WELL + DELIVERED + LIFE)
    print(
        f"  package built and installed in {installed - began:.0f} s, the rest in {time.monotonic() - installed:.0f} s"
    )
    return time.monotonic() - began


def with_source(root: Root) -> Root:
    """The same, with the project in /root/seg."""
    target = root.path / "root/seg"
    target.mkdir()
    names = [
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "seg",
        "twisted",
        "etc",
        "docs",
        "packaging",
        "tests",
    ]
    left_out = ("__pycache__", "dropin.cache", "_trial_temp*")
    words = ["tar", "-C", str(PROJECT), *(f"--exclude={name}" for name in left_out), "-cf", "-", *names]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as packed:
        subprocess.run(["tar", "-C", str(target), "--no-same-owner", "-xf", "-"], stdin=packed.stdout, check=True)
    return root


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, also where it can't be tried; 1 if something doesn't hold."""
    release = arguments[0] if arguments else "bookworm"
    if reason := why_not():
        print(f"bare root: skipped: {reason}")
        return 0
    page, readme = ((PROJECT / name).read_text("utf-8") for name in ("docs/install.md", "README.md"))
    folder = Path(tempfile.mkdtemp(prefix="seg-root-"))
    folder.chmod(0o755)
    status = 0
    for name, tried in (("README.md", by_package), ("docs/install.md", by_pip)):
        began = time.monotonic()
        root = Root(folder / "root")
        try:
            root = with_source(Root.unpacked(release, root.path))
            tried(root, readme if tried is by_package else page)
        except Failed as error:
            print(f"{name} in a bare {release} doesn't hold: {error}")
            status = 1
        else:
            print(f"{name} holds in a bare {release} ({time.monotonic() - began:.0f} s)")
        finally:
            root.remove()
    folder.rmdir()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
