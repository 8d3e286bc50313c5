"""What `docs/check.py` finds in the commands that a page shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import click
from twisted.trial.unittest import SynchronousTestCase

import seg


def checker() -> Any:
    """The script as a module."""
    place = Path(seg.__file__).parent.parent / "docs" / "check.py"
    spec = importlib.util.spec_from_file_location("docs_check", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class CommandTests(SynchronousTestCase):
    """`look_up` and `command_lines`."""

    def test_look_up(self) -> None:
        """A verb or an option that the program hasn't is found; placeholders and options of the program itself are none."""
        look_up = checker().look_up
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
        self.assertEqual(list(checker().command_lines(text)), ["seg status", "seg queue list", "seg commit"])
