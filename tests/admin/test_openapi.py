"""The description of the admin API against what is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

from jsonschema import Draft202012Validator
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import seg
from seg.admin import openapi
from seg.admin.counters import EventCounters
from seg.admin.policy_report import PolicyReport
from seg.admin.traffic import Traffic
from seg.admin.wire.operations import OPERATIONS
from seg.gateway.api import admin_routes

COPY = Path(seg.__file__).parents[1] / "docs" / "openapi.json"


def document() -> dict[str, Any]:
    """The whole description."""
    return openapi.description()


class DescriptionTests(SynchronousTestCase):
    """The document."""

    def test_all_served(self) -> None:
        """Each operation of the table is served, once, and no other."""
        parts: Any = mock.MagicMock()
        parts.observers.traffic, parts.observers.policies = (
            Traffic(EventCounters(lambda: 0.0), parts, Clock()),
            PolicyReport(lambda: 0.0),
        )
        served = admin_routes(parts, parts, parts, parts, parts).routes
        self.assertEqual(sorted(each.name for each in served), sorted(each.name for each in OPERATIONS))
        self.assertEqual(len({(each.method, each.path) for each in OPERATIONS}), len(OPERATIONS))

    def test_copy(self) -> None:
        """The copy in docs is as the code is (else run python -m seg.admin.openapi docs/openapi.json)."""
        if not COPY.parent.is_dir():
            self.skipTest("the documents aren't here")
        self.assertEqual(COPY.read_text("utf-8"), openapi.text())

    def test_schemas(self) -> None:
        """Each schema is one, each reference leads to something, each operation has its own id."""
        found = document()
        for schema in found["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)
        ids, references = [], []

        def walk(value: Any) -> None:
            if isinstance(value, dict):
                if isinstance(value.get("$ref"), str):
                    references.append(value["$ref"])
                if isinstance(value.get("operationId"), str):
                    ids.append(value["operationId"])
                for inner in value.values():
                    walk(inner)
            elif isinstance(value, list):
                for inner in value:
                    walk(inner)

        walk(found)
        self.assertEqual(len(ids), len(set(ids)))
        for reference in references:
            target: Any = found
            for name in reference.removeprefix("#/").split("/"):
                target = target[name]

    def test_path_parameters(self) -> None:
        """Each name in braces is a parameter of the path."""
        for path, methods in document()["paths"].items():
            for operation in methods.values():
                names = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
                self.assertEqual(names, {part[1:-1] for part in path.split("/") if part.startswith("{")}, path)
