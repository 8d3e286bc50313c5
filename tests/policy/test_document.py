"""``docs/tls-policies.md`` holds the very tables that are tested."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import DANEFailure, DANEMode, STSMode, TLSOption
from tests.dane.rows import markdown
from tests.policy.rows import options_markdown, together_markdown

PAGE = Path(__file__).parents[2] / "docs" / "tls-policies.md"


class DocumentTests(SynchronousTestCase):
    """The page against the code."""

    def setUp(self) -> None:
        if not PAGE.exists():
            self.skipTest("the documents aren't here")
        self.text = PAGE.read_text(encoding="utf-8")

    def test_tables(self) -> None:
        """Each table of the page is the one that the tests walk through."""
        found = dict(re.findall(r"<!-- table: (\w+) -->\n(.*?)\n<!-- end -->", self.text, re.DOTALL))
        self.assertEqual(found, {"dane": markdown(), "options": options_markdown(), "together": together_markdown()})

    def test_words(self) -> None:
        """The page names every setting by the word that the files use."""
        for word in (*(option.label for option in TLSOption), *DANEMode, *STSMode):
            self.assertIn(str(word), self.text)
        self.assertIn(f'dane_opportunistic_failure = "{DANEFailure.FALL_THROUGH}"', self.text)
