"""A Debian with nothing in it, in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import attrs

CACHE = Path("/var/cache/seg-tests")
FRESH = 7 * 86400  # seconds that an archive is used for
MIRROR = "http://deb.debian.org/debian"
PROGRAMS = ("debootstrap", "unshare", "chroot", "tar", "ip", "mount")
IN_MEMORY = 4 << 30  # octets that have to be free for roots in memory, where no fsync costs anything
APART = "SEG_TESTS_APART"
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
    if tried.returncode:
        return f"no namespaces: {tried.stderr.strip()}"
    try:
        urlopen(f"{MIRROR}/dists/bookworm/InRelease", timeout=20).close()
    except OSError as error:
        return f"{MIRROR} can't be reached: {error}"
    return ""


def set_apart(module: str, arguments: list[str]) -> None:
    """Begin this program anew in namespaces of its own, unless it is there: what it mounts and starts ends with it, however it ends."""
    if APART not in os.environ:
        apart = ["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "private"]
        os.execvpe(apart[0], [*apart, sys.executable, "-m", module, *arguments], {**os.environ, APART: "1"})


@contextmanager
def place_for_roots() -> Iterator[Path]:
    """A folder that goes away afterwards; in memory, where there is enough."""
    folder = Path(tempfile.mkdtemp(prefix="seg-root-"))
    folder.chmod(0o755)
    free = int(Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0]) << 10
    mounted = free > IN_MEMORY
    if mounted:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=75%", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
            folder.rmdir()
        else:
            subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)


def archive(release: str, place: Path) -> Path:
    """The archive of a bare Debian; made, in this place, where there is none or an old one."""
    file = CACHE / f"{release}.tar"
    if file.exists() and time.time() - file.stat().st_mtime < FRESH:
        return file
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = place / f"{release}.new"
    words = ["debootstrap", "--variant=minbase", release, str(folder), MIRROR]
    made = subprocess.run(words, check=False, capture_output=True, text=True)
    if made.returncode:
        raise Failed(f"debootstrap {release}: {made.stdout[-2000:]}{made.stderr[-2000:]}")
    partial = file.with_suffix(".part")
    subprocess.run(["tar", "-C", str(folder), "--one-file-system", "-cf", str(partial), "."], check=True)
    partial.replace(file)
    subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)
    return file


@attrs.frozen
class Root:
    """One that is unpacked."""

    path: Path

    @classmethod
    def unpacked(cls, archive: Path, path: Path) -> Root:
        """A fresh one, which reaches the package registries as this machine does."""
        path.mkdir()
        subprocess.run(["tar", "-C", str(path), "-xf", str(archive)], check=True)
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
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.path)], check=True)
