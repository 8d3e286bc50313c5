"""The description of the admin API against what is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import seg.admin
from seg.admin.api import AdminAPI
from seg.admin.changes import ChangesAPI
from seg.admin.checks import ChecksAPI
from seg.admin.corrupt import CorruptAPI
from seg.admin.delivery import DeliveryAPI
from seg.admin.destinations import DestinationsAPI
from seg.admin.dialogues import DialoguesAPI
from seg.admin.dns import DNSAPI
from seg.admin.http import RouteTable
from seg.admin.metrics_page import MetricsAPI
from seg.admin.policy_holds import PolicyHoldsAPI
from seg.admin.policy_report import PolicyReport
from seg.admin.traffic import Traffic
from seg.admin.workqueue import WorkQueueAPI

NOTHING: Any = None  # the paths are known without a gateway


def document() -> dict[str, Any]:
    """``seg/admin/openapi.json``."""
    found: dict[str, Any] = json.loads(Path(seg.admin.__file__).with_name("openapi.json").read_text("utf-8"))
    return found


def served() -> RouteTable:
    """Every path of the API."""
    traffic = Traffic(NOTHING, Clock())
    table = AdminAPI(NOTHING, NOTHING, NOTHING, traffic, NOTHING, NOTHING).routes()
    for part in (
        ChangesAPI(NOTHING),
        ChecksAPI(NOTHING),
        CorruptAPI(NOTHING),
        DeliveryAPI(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING),
        DestinationsAPI(NOTHING, NOTHING),
        MetricsAPI(NOTHING),
        PolicyHoldsAPI(NOTHING, NOTHING),
        PolicyReport(lambda: 0.0),
        DNSAPI(NOTHING, NOTHING, NOTHING),
        WorkQueueAPI(NOTHING, NOTHING, NOTHING, NOTHING),
        DialoguesAPI(NOTHING, NOTHING),
    ):
        part.add_to(table)
    return table


class DescriptionTests(SynchronousTestCase):
    """The file."""

    def test_all_paths(self) -> None:
        """It has each method and path that is served, and no other."""
        described = [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]
        self.assertEqual(sorted(described), sorted(served().served))

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
