"""A Debian with nothing in it, in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import attrs

CACHE = Path("/var/cache/seg-tests")
FRESH = 7 * 86400  # seconds that an archive is used for
MIRROR = "http://deb.debian.org/debian"
PROGRAMS = ("debootstrap", "unshare", "chroot", "tar", "ip")
# Mounts are seen by nobody else, and end with the last program in the namespace.
ENTER = """set -e
mount -t proc proc "$1/proc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
[ "$2" = online ] || ip link set lo up
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \\
    ${PIP_CERT:+PIP_CERT=/root/ca.pem} PIP_DISABLE_PIP_VERSION_CHECK=1 chroot "$1" bash /root/script
"""


class Failed(Exception):
    """A command in the root has failed."""


def why_not() -> str:
    """Why there can be no such root here; "" if there can."""
    if os.geteuid() != 0:
        return "only root can make one"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} isn't installed"
    tried = subprocess.run(["unshare", "-m", "-n", "-p", "-f", "true"], check=False, capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"no namespaces: {tried.stderr.strip()}"


def archive(release: str) -> Path:
    """The archive of a bare Debian; made where there is none, or an old one."""
    file = CACHE / f"{release}.tar"
    if file.exists() and time.time() - file.stat().st_mtime < FRESH:
        return file
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / f"{release}.{os.getpid()}"
    try:
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", release, str(folder), MIRROR],
            check=False,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise Failed(f"debootstrap {release}: {made.stdout[-2000:]}{made.stderr[-2000:]}")
        partial = file.with_suffix(".part")
        subprocess.run(["tar", "-C", str(folder), "--one-file-system", "-cf", str(partial), "."], check=True)
        partial.replace(file)
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)
    return file


@attrs.frozen
class Root:
    """One that is unpacked."""

    path: Path

    @classmethod
    def unpacked(cls, release: str, path: Path) -> Root:
        """A fresh one, which reaches the package registries as this machine does."""
        path.mkdir()
        subprocess.run(["tar", "-C", str(path), "-xf", str(archive(release))], check=True)
        for file in Path("/etc/apt/apt.conf.d").glob("99*"):
            shutil.copy(file, path / "etc/apt/apt.conf.d")
        shutil.copy("/etc/resolv.conf", path / "etc/resolv.conf")
        if certificates := os.environ.get("PIP_CERT"):
            shutil.copy(certificates, path / "root/ca.pem")
        return cls(path)

    def run(self, script: str, *, online: bool = False) -> str:
        """What a script prints, in bash, each line shown before it is run. It ends at the first command that fails.

        :param online: with the machine's network; else there is only a loopback device, of its own.
        :raises Failed: a command failed; the text is all that was printed.
        """
        (self.path / "root/script").write_text("set -eux -o pipefail\n" + script)
        apart = ["-m", "-p", "-f", "--kill-child", "--propagation", "private", *([] if online else ["-n"])]
        words = ["bash", "-c", ENTER, "enter", str(self.path), "online" if online else "alone"]
        done = subprocess.run(
            ["unshare", *apart, *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode:
            raise Failed(f"status {done.returncode}\n{done.stdout[-6000:]}")
        return done.stdout

    def remove(self) -> None:
        """Take it away."""
        if str(self.path) in Path("/proc/self/mounts").read_text():
            sys.exit(f"{self.path}: something is mounted there; not removed")
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.path)], check=True)
