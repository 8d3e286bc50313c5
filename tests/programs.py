"""Real programs that tests talk to where the machine has them. Each is tried, not only looked for: one that doesn't run skips its tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from unittest import SkipTest

PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
# Programs that can't be installed beside one another, and libraries of other languages: `.ci/run` unpacks them here.
FETCHED = Path(os.environ.get("SEG_PROGRAMS") or Path.home() / ".cache" / "seg-programs")


def fetched(package: str, path: str = "") -> Path:
    """A file or folder of a package that is unpacked, but not installed.

    :raises SkipTest: it isn't there.
    """
    found = FETCHED / package / path
    if not found.exists():
        raise SkipTest(f"{package} isn't fetched ({found}; .ci/run does it)")
    return found


def optional_program(name: str, *probe: str, package: str = "", shows: str = "") -> str:
    """The path of a program.

    :param probe: arguments with which it says something and ends, such as ``--version``.
    :param package: the Debian package that has it (or what it lacks), when its name is another one.
    :param shows: what it has to print then.
    :raises SkipTest: it isn't there, doesn't run, or doesn't show that.
    """
    package = package or name
    found = shutil.which(name, path=PATH)
    if found is None:
        raise SkipTest(f"{name} isn't installed (Debian package {package})")
    try:
        done = subprocess.run(
            [found, *probe], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SkipTest(f"{name} doesn't run: {error}") from None
    if done.returncode in (126, 127):  # a shell's or loader's words for "can't be executed"
        raise SkipTest(f"{name} doesn't run: {done.stderr.strip()[:200]}")
    if shows not in done.stdout + done.stderr:
        raise SkipTest(f"{name} can't do all that is asked of it: it doesn't show {shows!r} (Debian package {package})")
    return found


def swaks_with_tls() -> str:
    """The path of ``swaks``.

    :raises SkipTest: there is none, or it lacks its library for TLS.
    """
    return optional_program("swaks", "--support", package="libnet-ssleay-perl", shows="TLS supported")
