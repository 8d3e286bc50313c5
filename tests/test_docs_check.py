"""What `docs/check.py` finds in the commands that a page shows, and how it runs them."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import click
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import seg
from tests import rooms
from tests.test_layering import FREE, IMPORTS, PACKAGE
from tests.test_shape import LONG_FILES, MOST_LINES

DOCS = Path(seg.__file__).parent.parent / "docs"


def checker(name: str) -> Any:
    """A module of ``docs/page_checks``."""
    if not DOCS.exists():
        raise SkipTest("docs isn't here")
    if str(DOCS) not in sys.path:
        sys.path.append(str(DOCS))
    return importlib.import_module(f"page_checks.{name}")


class CommandTests(SynchronousTestCase):
    """`look_up` and `command_lines`."""

    def test_look_up(self) -> None:
        """A verb or an option that the program hasn't is found; placeholders and options of the program itself are none."""
        look_up = checker("commands").look_up
        for words in (
            "status --json",
            "--config FILE status",
            "queue list --held",
            "explain DOMAIN",
            "--help",
            "listenerconfig edit NAME",
        ):
            look_up(words.split())
        for words in ("stauts", "queue lsit", "status --jsn", "--confg x status", "smtproutes edit ALL --without-auth"):
            self.assertRaises(click.UsageError, look_up, words.split())

    def test_lines(self) -> None:
        """Lines of blocks, with or without a prompt, and what stands in backquotes."""
        text = "Say `seg commit` then.\n\n```\n$ seg status\nseg queue list\nsegment\n```\n```toml\nseg = 1\n```\n"
        found = checker("commands").command_lines(text)
        self.assertEqual(list(found), ["seg status", "seg queue list", "seg commit"])


class RunTests(SynchronousTestCase):
    """`of_block`, `failed` and what is left out."""

    def test_block(self) -> None:
        """Where one line has a prompt, only such lines are commands, and what follows is output; a script has commands alone."""
        of_block, shown = checker("run").of_block, checker("run").Shown
        self.assertEqual(
            list(of_block("$ seg status\nseg 0.1.0\n\n Up\n$ seg queue list # all\n", False)),
            [shown("seg status", ("seg 0.1.0", " Up")), shown("seg queue list")],
        )
        self.assertEqual(list(of_block("x = 1\nseg tail\n", False)), [shown("seg tail")])
        self.assertEqual(
            list(of_block("cat <<'END'\none\nEND\nls \\\n    -l\n", True)),
            [shown("cat <<'END'\none\nEND"), shown("ls -l")],
        )

    def test_left_out(self) -> None:
        """What wants root, goes on for ever or is shortened isn't run; a look is."""
        reason = checker("left_out").reason
        for command in ("systemctl restart seg", ".venv/bin/seg tail -f", "seg setup --yes", "seg user add NAME"):
            self.assertTrue(reason(command), command)
        for command in ("seg setup --help", "seg status", "seg demo --list", "curl --unix-socket var/run/seg.sock x"):
            self.assertEqual(reason(command), "", command)

    def test_made_real(self) -> None:
        """Names of the small internet stand for a page's."""
        made_real = checker("left_out").made_real
        for command, real in (
            ("seg tlsverify DOMAIN [HOST[:PORT]]", "seg tlsverify signed.example"),
            ("seg suspenddel [DOMAIN]...", "seg suspenddel"),
            ("seg queue why 5444", "seg queue why 1"),
            (
                "seg listenerconfig new x --certificate /etc/seg/mail.pem",
                "seg listenerconfig new x --certificate /f/own.pem",
            ),
            ("send 127.0.0.1 2525 [1]", "send 127.0.0.1 77 [1]"),
        ):
            self.assertEqual(made_real(command, "/f", 77), real)

    def test_output(self) -> None:
        """The first word has to be that of the page."""
        differs = checker("run").differs
        self.assertEqual(differs((" MID  Size", " 1"), "\nMID Size\n"), "")
        self.assertEqual(differs((), "anything"), "")
        self.assertIn("'Nobody'", differs((" #  Remote",), "Nobody is connected.\n"))


class ArchitectureTests(SynchronousTestCase):
    """docs/architecture.md."""

    def setUp(self) -> None:
        if not DOCS.exists():
            raise SkipTest("docs isn't here")

    def test_rooms(self) -> None:
        """Its tables of rooms are those that are held (``python -m tests.rooms`` writes them), and each room is told of."""
        text = rooms.PAGE.read_text("utf-8")
        self.assertEqual(text, rooms.updated())
        told = set(re.findall(r"(?m)^\| `(\w+)` \| [^|]+ \|$", text))
        self.assertEqual((set(IMPORTS) | FREE) - told - {"version", "plugin"}, set())

    def test_stops(self) -> None:
        """There are twelve stops, each at a file that can be read in one sitting."""
        stops = re.findall(r"(?m)^\d+\. .*$", rooms.PAGE.read_text("utf-8"))
        self.assertEqual(len(stops), 12)
        for stop in stops:
            for link in re.findall(r"\]\(\.\./seg/([\w/]+)\.py\)", stop):
                name = f"seg.{link.replace('/', '.')}"
                lines = len((PACKAGE / f"{link}.py").read_text("utf-8").splitlines())
                self.assertLessEqual(lines, LONG_FILES.get(name, MOST_LINES), stop)


class NameTests(SynchronousTestCase):
    """`unknown`."""

    def test_files(self) -> None:
        """A file, a module named from its room, or a class that isn't there is told; what is there isn't."""
        unknown = checker("names").unknown
        there = (
            "`tests/doubles.py` `seg/queue/*.py` `deliver/scheduler` `QueueIndex` `ServFail` `maildrop/bad` tests.zones"
        )
        self.assertEqual(list(unknown(there)), [])
        gone = "`tests/gone.py` `deliver/gone.py` `GoneAway.run`\n```\npython -m tests.test_twist.GoneTests\n```\n"
        found = ["tests/gone.py", "deliver/gone in seg", "tests.test_twist.GoneTests", "class GoneAway"]
        self.assertEqual(list(unknown(gone)), found)
