"""Words that are behind what a file or a command says wrongly."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import seg
from seg.config.problems import meant, offered


class ChoiceTests(SynchronousTestCase):
    """What might have been meant, and what there is."""

    def test_meant(self) -> None:
        """The nearest, whatever the case, or nothing."""
        for word, near in (("stauts", "; did you mean status?"), ("QUEUE", "; did you mean queue?"), ("xyzzy", "")):
            self.assertEqual(meant(word, ("status", "queue")), near)

    def test_offered(self) -> None:
        """A question mark ends a sentence: what there is begins another one, the nearest first."""
        for word, choices, text in (
            ("dnae", ("static", "dane"), "; did you mean dane? There are dane, static"),
            ("xyzzy", ("a", "b"), "; there are a, b"),
            ("xyzzy", (), "; there are none"),
        ):
            self.assertEqual(offered(word, iter(choices)), text)

    def test_only_here(self) -> None:
        """Nobody else puts words behind a suggestion, or lists what there is (but for a reply of SMTP)."""
        for path in Path(seg.__file__).parent.rglob("*.py"):
            if path.name not in ("problems.py", "xclient.py"):
                source = path.read_text(encoding="utf-8")
                self.assertNotRegex(source, r"; there are:? \{|(meant|nearest_domain)\([^)]*\)\}[;,.:]", path)
