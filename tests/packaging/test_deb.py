"""The Debian package: what is put together, and what its scripts do. It is built and installed by ``python -m tests.bare_root``."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from seg.version import __version__
from tests.programs import optional_program

ROOT = Path(__file__).parents[2]
DEB = ROOT / "packaging" / "deb"
SCRIPTS = ("postinst", "prerm", "postrm", "rtupdate")


def builder() -> ModuleType:
    """``packaging/deb/build.py``."""
    if not DEB.exists():
        raise SkipTest("packaging isn't here")
    spec = importlib.util.spec_from_file_location("deb_build", DEB / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ContentTests(SynchronousTestCase):
    """What goes in."""

    def setUp(self) -> None:
        self.build = builder()
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()

    def wheel(self, name: str, files: dict[str, str]) -> Path:
        """A wheel with these files."""
        path = self.root / name
        with zipfile.ZipFile(path, "w") as archive:
            for place, text in files.items():
                archive.writestr(place, text)
        return path

    def test_programs(self) -> None:
        """Each command of pyproject.toml is there, and twistd; each link to a program leads to one."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        programs = dict(self.build.PROGRAMS)
        self.assertTrue(programs.pop("twistd"))
        self.assertEqual(programs, project["scripts"])
        for place, target in self.build.LINKS.items():
            if not place.startswith("usr/share"):
                end = os.path.normpath(os.path.join(os.path.dirname(place), target))
                self.assertTrue(end in self.build.LINKS or os.path.basename(end) in self.build.PROGRAMS, place)

    def test_one_folder_for_each_python(self) -> None:
        """Modules compiled for several Pythons stand side by side; what is said of a wheel alone is left out."""
        first = self.wheel("a-cp311.whl", {"a/b.py": "1", "a/c.cpython-311.so": "x", "a.dist-info/WHEEL": "cp311"})
        second = self.wheel("a-cp313.whl", {"a/b.py": "1", "a/c.cpython-313.so": "y", "a.dist-info/WHEEL": "cp313"})
        data = self.wheel("b.whl", {"b.data/purelib/b.py": "2", "b.data/scripts/b": "#!", "b.dist-info/METADATA": ""})
        self.build.unpack([first, second, data], self.root / "to")
        found = sorted(
            path.relative_to(self.root / "to").as_posix() for path in (self.root / "to").rglob("*") if path.is_file()
        )
        self.assertEqual(found, ["a/b.py", "a/c.cpython-311.so", "a/c.cpython-313.so", "b.dist-info/METADATA", "b.py"])

    def test_files_that_differ(self) -> None:
        """A file that isn't the same for each Python stops the build: one of them would get the other's."""
        wheels = [self.wheel(f"a-{n}.whl", {"a/c.abi3.so": str(n)}) for n in range(2)]
        self.assertRaises(SystemExit, self.build.unpack, wheels, self.root / "to")

    def test_control(self) -> None:
        """Version, Pythons from Debian 12's to 13's, and the fields of a mail transport agent."""
        self.assertTrue({"3.11", "3.13"} <= set(self.build.PYTHONS))
        self.build.control(self.root, f"{self.build.project_version()}-1", "amd64")
        text = (self.root / "DEBIAN" / "control").read_text("utf-8")
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+): (.*)$", text))
        self.assertNotIn("@", re.sub(r"<.*>", "", text))
        self.assertEqual((fields["Version"], fields["Architecture"]), (f"{__version__}-1", "amd64"))
        self.assertIn("python3 (>= 3.11), python3 (<< 3.14)", fields["Depends"])
        for name in ("Provides", "Conflicts", "Replaces"):
            self.assertEqual(fields[name], "mail-transport-agent")
        self.assertFalse((self.root / "DEBIAN" / "conffiles").exists())
        for name in ("postinst", "prerm", "postrm"):
            self.assertEqual((self.root / "DEBIAN" / name).stat().st_mode & 0o777, 0o755)

    def test_paths(self) -> None:
        """Units and scripts name the private environment, and nothing names that of pip."""
        self.build.documentation = lambda *_: None
        (self.root / "usr/lib/seg/bin").mkdir(parents=True)
        (self.root / "usr/lib/seg/bin/seg").write_text("print('completion')")
        self.build.system_files(self.root)
        unit = (self.root / "usr/lib/systemd/system/seg.service").read_text("utf-8")
        self.assertIn("ExecStart=/usr/lib/seg/bin/twistd --nodaemon", unit)
        self.assertNotIn("/opt", unit)
        for name in SCRIPTS:
            self.assertNotIn("/opt", (DEB / name).read_text("utf-8"))


class ScriptTests(SynchronousTestCase):
    """The maintainer's scripts."""

    def setUp(self) -> None:
        if not DEB.exists():
            raise SkipTest("packaging isn't here")
        self.root = Path(self.mktemp()).absolute()
        (self.root / "bin").mkdir(parents=True)
        helper = self.root / "bin" / "deb-systemd-helper"
        helper.write_text("#!/bin/sh\n")
        helper.chmod(0o755)

    def purge(self) -> str:
        """Run ``postrm purge`` in a folder of the test's; what it says."""
        text = (DEB / "postrm").read_text("utf-8")
        self.assertEqual(
            (text.count("/var/lib/seg"), text.count("/etc/seg"), text.count("/run/systemd/system")), (1, 1, 1)
        )
        for path in ("/var/lib/seg", "/etc/seg", "/run/systemd/system"):
            text = text.replace(path, f"{self.root}{path}")
        (self.root / "postrm").write_text(text)
        environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin"}
        words = ["sh", str(self.root / "postrm"), "purge"]
        return subprocess.run(words, check=True, env=environment, capture_output=True, text=True).stderr

    def fill(self, *files: str) -> None:
        """Files of an installation."""
        for name in ("etc/seg/seg.toml", "var/lib/seg/log/mail.log", "var/lib/seg/spool/counters.json", *files):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).touch()

    def left(self) -> list[str]:
        """What is still there."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for top in ("etc", "var")
            for path in (self.root / top).rglob("*")
            if path.is_file()
        )

    def test_purge(self) -> None:
        """Without mail nothing is left; locks and counters are no mail."""
        self.fill("var/lib/seg/spool/gateway.lock", "var/lib/seg/maildrop/taken/gateway.lock")
        self.assertEqual(self.purge(), "")
        self.assertEqual(self.left(), [])
        self.assertEqual(self.purge(), "")

    def test_purge_with_mail(self) -> None:
        """Mail that waits, was dropped or put aside is kept, wherever it is, and its place is said; the rest goes."""
        for mail in (
            "spool/cur/07/000000000007.env",
            "spool/new/00/1.env",
            "spool/corrupt/1",
            "maildrop/taken/x",
            "maildrop/y",
        ):
            with self.subTest(mail):
                self.fill(f"var/lib/seg/{mail}")
                self.assertIn("1 files with mail are kept", self.purge())
                self.assertEqual(self.left(), sorted([f"var/lib/seg/{mail}", "var/lib/seg/spool/counters.json"]))
                (self.root / "var/lib/seg" / mail).unlink()

    def test_syntax(self) -> None:
        """A shell takes them."""
        for name in SCRIPTS:
            subprocess.run(["sh", "-n", str(DEB / name)], check=True)

    def test_shellcheck(self) -> None:
        """So does shellcheck, without a word."""
        shellcheck = optional_program("shellcheck", "--version")
        done = subprocess.run(
            [shellcheck, *(str(DEB / name) for name in SCRIPTS)], check=False, capture_output=True, text=True
        )
        self.assertEqual(done.stdout, "")


class UnitTests(SynchronousTestCase):
    """systemd's units."""

    def test_verified(self) -> None:
        """`systemd-analyze verify` has nothing to say of them (with a program that is there)."""
        analyze = optional_program("systemd-analyze", "--version", package="systemd")
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for file in (ROOT / "packaging" / "systemd").iterdir():
            text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", file.read_text("utf-8"))
            (folder / file.name).write_text(text.replace("Documentation=file:/usr/share/doc/seg/install.md\n", ""))
        done = subprocess.run(
            [analyze, "verify", *map(str, sorted(folder.iterdir()))], check=False, capture_output=True, text=True
        )
        said = [line for line in (done.stdout + done.stderr).splitlines() if "seg." in line]
        self.assertEqual(said, [])
