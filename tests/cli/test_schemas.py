"""The schemas of the JSON outputs are schemas, and each is checked against the program."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from seg.cli.main import LazyGroup
from tests.e2e.test_26_json_outputs import DEEDS, LOOKS, SCHEMAS, validator
from tests.e2e.test_40_every_command import COMMANDS


def schemas() -> dict[str, dict[str, object]]:
    """All of them by name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(Path(SCHEMAS).glob("*.json"))}


class SchemaTests(SynchronousTestCase):
    """``tests/schemas``."""

    def test_valid(self) -> None:
        """Each is a JSON Schema of draft 2020-12, with a title that names the verbs that print it."""
        for name, schema in schemas().items():
            Draft202012Validator.check_schema(schema)
            self.assertTrue(str(schema.get("title")).startswith("seg "), name)

    def test_all_used(self) -> None:
        """Each is checked against the output of a verb that exists."""
        self.assertEqual({schema for schema, _ in (*LOOKS, *DEEDS, *COMMANDS) if schema.islower()}, set(schemas()))
        self.assertEqual({words[0] for _, words in LOOKS + DEEDS} - set(LazyGroup.verbs), set())

    def test_they_bite(self) -> None:
        """An output that lacks a field, or has another type, is found out."""
        done = validator("Done")
        self.assertTrue(done.is_valid({"done": [1], "refused": {"2": "isn't in the queue"}}))
        for wrong in ({"done": [1]}, {"done": ["1"], "refused": {}}, {"done": [], "refused": {"2": 3}}, []):
            self.assertFalse(done.is_valid(wrong), wrong)
