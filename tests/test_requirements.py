"""What an installation gets is what was tested: ``packaging/requirements.txt`` against ``pyproject.toml`` and against what is here."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
PINNED = ROOT / "packaging" / "requirements.txt"
_PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([0-9][0-9.]*)( ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def normal(name: str) -> str:
    """A project's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def numbers(text: str) -> tuple[int, ...]:
    """A version, to be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:4])


class RequirementsTests(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        if not PINNED.exists():
            self.skipTest("packaging isn't here")
        self.text = PINNED.read_text("utf-8")
        self.pinned = {normal(name): number for name, number, _, _ in _PIN.findall(self.text)}

    def test_hashes(self) -> None:
        """Every project is pinned to one version, and every version has the hashes of its files."""
        lines = [line for line in self.text.splitlines() if line and not line.startswith(("#", " "))]
        self.assertEqual(len(lines), len(self.pinned))

    def test_lower_bounds(self) -> None:
        """Each dependency of pyproject.toml is there, in a version that it allows."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        for dependency in project["dependencies"]:
            name, _, least = re.sub(r"\[.*\]", "", dependency).partition(">=")
            self.assertIn(normal(name), self.pinned)
            self.assertGreaterEqual(numbers(self.pinned[normal(name)]), numbers(least), name)

    def test_tested(self) -> None:
        """What runs here, under these tests, is what pyproject.toml allows. It may be newer than the file, as others release when they like
        (then make the file anew; its head says how), or older, but the file never names less than what is allowed."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        for dependency in project["dependencies"]:
            name, _, least = re.sub(r"\[.*\]", "", dependency).partition(">=")
            self.assertGreaterEqual(numbers(version(name)), numbers(least), name)
