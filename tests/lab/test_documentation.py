"""The page about the demonstration says what the cases say."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.lab.cases import CASES

PAGE = Path(__file__).parent.parent.parent / "docs" / "demo.md"


class DocumentationTests(SynchronousTestCase):
    """docs/demo.md."""

    def test_every_case_is_told(self) -> None:
        """Each case is there, in the words that the demonstration uses."""
        if not PAGE.exists():
            self.skipTest("the documentation isn't here")
        text = PAGE.read_text()
        for case in CASES:
            self.assertIn(f"- **{case.domain}**: {case.what}\n", text)
