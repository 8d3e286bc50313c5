"""What is made from the schema: shipped files and the reference."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import Destinations
from seg.config.load import parse_destinations, parse_settings
from seg.config.marked import replace_block
from seg.config.reference import destinations_text, generated, settings_text
from seg.config.schema import Settings

PROJECT = Path(__file__).resolve().parents[2]


def uncommented(text: str) -> str:
    """A shipped file with every key, table header and example taken out of its comment."""
    return re.sub(r"^# (?=[a-z0-9_]+ = |\[[^\]]*\]$)", "", text, flags=re.MULTILINE)


class ReferenceTests(SynchronousTestCase):
    """Generated text."""

    def test_files_are_up_to_date(self) -> None:
        """The shipped files and the reference are what the schema makes them; run python -m
        seg.config.reference."""
        for file in generated(PROJECT):
            self.assertEqual(file.path.read_text("utf-8"), file.text, str(file.path))

    def test_every_key_can_be_uncommented(self) -> None:
        """With every key uncommented the settings are still the defaults: each comment tells the true one."""
        self.assertEqual(parse_settings(uncommented(settings_text())), Settings())

    def test_examples_work(self) -> None:
        """Every example in destinations.toml can be taken out of its comment as it stands."""
        table = parse_destinations(uncommented(destinations_text()))
        self.assertEqual(table.default, Destinations().default)
        self.assertEqual(set(table.routes), {"ALL", "internal.example", "direct.example"})
        self.assertIn("partner.example", table.profiles)

    def test_examples_of_the_page_work(self) -> None:
        """Every TOML example in docs/configuration.md loads."""
        page = (PROJECT / "docs" / "configuration.md").read_text("utf-8")
        examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
        self.assertGreater(len(examples), 3)
        for example in examples:
            parse_destinations(example)

    def test_only_the_block_is_replaced(self) -> None:
        """What people wrote around the block stays, and a page without a block is refused."""
        page = "a\n<!-- begin: made by x -->\nold\n<!-- end: made by x -->\nb\n"
        self.assertEqual(replace_block(page, "x", "new"), page.replace("\nold\n", "\n\nnew\n\n"))
        self.assertRaises(ValueError, replace_block, "a", "x", "new")
