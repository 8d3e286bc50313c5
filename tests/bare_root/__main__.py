"""Runs README.md and docs/install.md in bare Debians; a line for each says how it went."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import attrs

from tests.bare_root.commands import commands
from tests.bare_root.root import Failed, Root, archive, place_for_roots, set_apart, why_not

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
# What certbot calls after a renewal: the copy that the gateway serves is made anew.
RENEWED = """
mkdir -p /etc/letsencrypt/live/mx.example.com
cp /root/fullchain.pem /root/privkey.pem /etc/letsencrypt/live/mx.example.com
rm /etc/seg/certificates/mx.example.com.pem
RENEWED_LINEAGE=/etc/letsencrypt/live/mx.example.com sh /root/hook
test "$(stat -c %U:%a /etc/seg/certificates/mx.example.com.pem)" = seg:640
"""
# An upgrade keeps what is there; removal keeps configuration and mail; a purge keeps only mail that waits (all else: tests/packaging).
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
test ! -e /etc/systemd/system/multi-user.target.wants/seg.service
"""


@attrs.frozen
class Runs:
    """What is tried, each in a root of its own; the first that builds the package gives it to the others."""

    place: Path
    built: Future[Path] = attrs.field(factory=Future)
    install: str = attrs.field(factory=(PROJECT / "docs" / "install.md").read_text)
    readme: str = attrs.field(factory=(PROJECT / "README.md").read_text)
    _releases: dict[str, threading.Lock] = attrs.field(factory=lambda: defaultdict(threading.Lock))

    def root(self, release: str, name: str) -> Root:
        """A bare one, with the project in /root/seg."""
        with self._releases[release]:
            packed = archive(release, self.place)
        return with_source(Root.unpacked(packed, self.place / f"{release}-{name}"))

    def by_pip(self, root: Root) -> None:
        """docs/install.md, by pip."""
        needed = "apt-get update; apt-get install -y --no-install-recommends systemd python3-venv ca-certificates"
        assert needed.partition("; ")[2] in self.install
        root.run(needed, online=True)
        sections = ("1. User, folders and unit", "2. The program", "Upgrading")
        lines = [line for section in sections for line in commands(self.install, section)]
        root.run("cd /root/seg\nsystemctl() { :; }\n" + "\n".join(lines), online=True)
        asked = commands(self.install, "3. The first configuration")
        assert asked == ["cd", "seg setup"]
        lines = [
            "cd",
            f"printf '{ANSWERS}' | script -qec 'seg setup' /dev/null",
            *commands(self.install, "4. The service"),
        ]
        hand_in = "echo hello | sendmail -v root\nuntil_so queued ops@example.com\nmailq\ntest -e /usr/local/share/man/man1/seg.1\n"
        root.run(SYSTEMCTL + "cd /root/seg\n" + "\n".join(lines) + RUNS_WELL + hand_in)

    def by_package(self, root: Root) -> None:
        """README.md, from nothing to a first message, and the life of the package."""
        lines = commands(self.readme, FIRST_MESSAGE)
        try:
            root.run("cd /root/seg\n" + "\n".join(lines[:2]), online=True)
            (package,) = (root.path / "root/seg/dist").glob("*.deb")
            self.built.set_result(Path(shutil.copy(package, self.place)))
        except BaseException:
            self.built.set_exception(Failed("there is no package"))
            raise
        self.package(root, LIFE)

    def built_package(self, root: Root) -> None:
        """README.md with the package that was built elsewhere."""
        (root.path / "root/seg/dist").mkdir()
        shutil.copy(self.built.result(), root.path / "root/seg/dist")
        root.run("apt-get update", online=True)
        self.package(root, "")

    def package(self, root: Root, more: str) -> None:
        """README.md, from the line that installs the package."""
        lines = commands(self.readme, FIRST_MESSAGE)[2:]
        root.run("cd /root/seg\n" + lines[0], online=True)
        (hook,) = commands(self.install, "Certificates of certbot", whole=True)
        (root.path / "root/hook").write_text(hook)
        root.run(SYSTEMCTL + "cd\n" + PEERS + "\n".join(lines[1:]) + RUNS_WELL + DELIVERED + RENEWED + more)

    def tried(self, release: str, what: Callable[[Runs, Root], None], name: str) -> bool:
        """Whether it holds."""
        began = time.monotonic()
        try:
            root = self.root(release, what.__name__)
            ready = time.monotonic()
            what(self, root)
        except Failed as error:
            print(f"{name} in a bare {release} doesn't hold: {error}", flush=True)
            return False
        root.remove()
        seconds = f"{time.monotonic() - ready:.0f} s; {ready - began:.0f} s for the Debian"
        print(f"{name} holds in a bare {release} ({seconds})", flush=True)
        return True


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
    if reason := why_not():
        print(f"install: skipped: {reason}")
        return 0
    set_apart("tests.bare_root", arguments)
    first, *others = arguments or ("bookworm", "trixie")
    tasks = [(first, Runs.by_package, "README.md"), ([first, *others][-1], Runs.by_pip, "docs/install.md")]
    tasks += [(other, Runs.built_package, f"README.md with the package built in {first}") for other in others]
    with place_for_roots() as place, ThreadPoolExecutor(2) as pool:
        runs = Runs(place)
        return 0 if all([*pool.map(lambda task: runs.tried(*task), tasks)]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
