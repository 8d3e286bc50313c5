"""Packages that can't be installed beside one another, each in a mount namespace of its own in which it stands over the machine's files.

What is written there is gone with the last process in it; the machine stays what it is.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from unittest import SkipTest

from tests.programs import fetched, optional_program

OVER = ("usr", "etc", "var", "run")

SCRIPT = """\
set -e
top=$1
shift
mkdir -p "$top"
mount -t tmpfs none "$top"
for folder in {folders}; do
    lower=/$folder
    for package in $PACKAGES; do [ ! -d "$package/$folder" ] || lower=$package/$folder:$lower; done
    mkdir -p "$top/$folder.new" "$top/$folder.work"
    mount -t overlay overlay -o "lowerdir=$lower,upperdir=$top/$folder.new,workdir=$top/$folder.work" "/$folder"
done
{setup}
exec "$@"
"""


class Layers:
    """A machine on which some packages are unpacked.

    :param folder: of the test.
    :param setup: lines of shell that make it ready: users, configuration.
    :raises SkipTest: a package isn't fetched, or nobody may make a namespace here.
    """

    def __init__(self, folder: Path, packages: tuple[str, ...], setup: str) -> None:
        self._packages = " ".join(str(fetched(package)) for package in packages)
        optional_program("unshare", "--version", package="util-linux")
        if os.geteuid() != 0:
            raise SkipTest(f"{packages[-1]} is started by root only")
        self._top = folder / "layers"
        self._script = folder / "layers.sh"
        self._script.write_text(SCRIPT.format(folders=" ".join(OVER), setup=setup))
        done = subprocess.run(self.command("true"), capture_output=True, text=True, check=False, timeout=30)
        if done.returncode:
            raise SkipTest(
                f"{packages[-1]}: no overlay of files can be made here: {(done.stdout + done.stderr).strip()[:200]}"
            )

    def command(self, *command: str) -> list[str]:
        """The words that run a command there, each time on a new machine."""
        packages = f"PACKAGES={self._packages}"
        return [
            "unshare",
            "-m",
            "--propagation",
            "private",
            "env",
            packages,
            "sh",
            str(self._script),
            str(self._top),
            *command,
        ]
