"""The package as it is installed: ``twistd --help`` lists ``seg``, and the command and its defaults are there."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SkipTest, TestCase

import seg
import seg.version

ROOT = Path(seg.__file__).parent.parent
SHOW_DEFAULTS = (
    "from seg.config.find import shipped_folder as s; print(s()); print(*sorted(p.name for p in s().iterdir()))"
)


class PackagingTests(TestCase):
    """Each in a fresh virtual environment."""

    timeout = 240

    async def setUp(self) -> None:
        if not (ROOT / "pyproject.toml").exists():
            raise SkipTest("this is an installed package, not the project: nothing to install")
        self.folder = Path(tempfile.mkdtemp(prefix="seg-package-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    async def run_program(self, *command: str) -> str:
        """Standard output of a program that must succeed."""
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        out, err, status = await getProcessOutputAndValue(
            command[0], command[1:], env=environment, path=str(self.folder)
        )
        self.assertEqual(status, 0, f"{command}: {out.decode()}{err.decode()}")
        return out.decode()

    async def check(self, *how: str) -> None:
        """Install in this way into a fresh environment, and look."""
        await self.run_program(sys.executable, "-m", "venv", "venv")
        programs = self.folder / "venv" / "bin"
        await self.run_program(str(programs / "pip"), "install", "--quiet", "--disable-pip-version-check", *how)
        listed = await self.run_program(str(programs / "twistd"), "--help")
        self.assertRegex(listed, r"(?m)^ +seg +Mail gateway")
        self.assertIn("seg.toml", await self.run_program(str(programs / "twistd"), "seg", "--help"))
        self.assertIn(f"seg {seg.version.__version__}", await self.run_program(str(programs / "seg"), "version"))
        where, names = (await self.run_program(str(programs / "python"), "-c", SHOW_DEFAULTS)).splitlines()
        self.assertIn("seg.toml", names)
        self.assertIn("destinations.toml", names)
        self.assertTrue(Path(where).is_dir())

    async def test_install(self) -> None:
        """``pip install .``"""
        source = self.folder / "source"  # a copy: building leaves traces in the tree, and other tests run beside
        shutil.copytree(
            ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "_trial_temp*", ".*_cache", "build")
        )
        await self.check(str(source))
        manuals = self.folder / "venv" / "share" / "man" / "man1"
        self.assertEqual({page.name for page in manuals.iterdir()}, {"seg.1", "seg-sendmail.1", "seg-mailq.1"})

    async def test_editable(self) -> None:
        """``pip install -e .``"""
        await self.check("-e", str(ROOT))
