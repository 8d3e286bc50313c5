"""Each table looks as docs/cli.md shows it."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from seg.admin import openapi
from seg.cli.reference import page
from tests.cli.transcripts import kept, updated


class TranscriptTests(SynchronousTestCase):
    """Golden texts."""

    def test_answers(self) -> None:
        """The answers that are kept are such as the API gives."""
        components = json.loads(openapi.text())["components"]
        for transcript in kept()[1]:
            for name, answer in transcript["answers"].values():
                schema = {"$ref": f"#/components/schemas/{name}", "components": components}
                problems = [f"{e.json_path}: {e.message}" for e in Draft202012Validator(schema).iter_errors(answer)]
                self.assertEqual(problems, [], transcript["command"])

    def test_tables(self) -> None:
        """What the page shows is what the program prints (else run python -m tests.cli.transcripts, and look)."""
        if not page().exists():
            self.skipTest("the documents aren't here")
        self.assertEqual(page().read_text("utf-8"), updated())
