"""What is wrong with the gateway itself, from its events to those who ask."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.conditions import MOST_KEPT, Conditions
from seg.admin.counters import EventCounters
from seg.admin.metrics import Metrics
from seg.admin.wire.gateway import ConditionAnswer
from seg.cli import main as cli
from seg.events.bus import EventBus
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from tests.admin.test_metrics import gauges
from tests.cli.transcripts import KeptGateway, kept

DOCS = Path(__file__).parents[2] / "docs"


class ConditionsTests(SynchronousTestCase):
    """`Conditions`."""

    def setUp(self) -> None:
        self.time = 100.0
        self.conditions = Conditions(lambda: self.time)
        self.bus = EventBus()
        self.bus.subscribe(self.conditions.handlers)

    def test_begins_and_ends(self) -> None:
        """A condition stands there from its beginning, with its newest text, to its end."""
        disk = Condition(self.bus, ConditionKind.DISK)
        disk.begin("full")
        self.time = 200.0
        disk.begin("read-only")
        self.assertEqual(self.conditions.facts(), [ConditionAnswer("disk", "", "read-only", 100.0)])
        disk.end("it can be written again")
        self.assertEqual(self.conditions.facts(), [])

    def test_subjects(self) -> None:
        """Two files that are damaged are two conditions; one that is mended leaves the other."""
        first, second = (Condition(self.bus, ConditionKind.STATE_FILE, name) for name in ("a", "b"))
        first.begin("damaged")
        second.begin("damaged")
        self.assertEqual(self.conditions.counts()["state-file"], 2)
        first.end("read")
        self.assertEqual([fact.subject for fact in self.conditions.facts()], ["b"])

    def test_bounded(self) -> None:
        """However many begin, memory is bounded."""
        for number in range(MOST_KEPT + 10):
            Condition(self.bus, ConditionKind.LOCAL, str(number)).begin("wrong")
        self.assertEqual(len(self.conditions.facts()), MOST_KEPT)

    def test_metric(self) -> None:
        """Every kind has its gauge, 0 while nothing is wrong, so that an alert can hang on it."""
        metrics = Metrics(EventCounters(lambda: self.time), lambda: self.time)
        metrics.watch(gauges(), self.conditions.counts)
        Condition(self.bus, ConditionKind.PROXY).begin("away")
        (family,) = (f for f in text_string_to_metric_families(metrics.text().decode()) if f.name == "seg_condition")
        values = {sample.labels["kind"]: sample.value for sample in family.samples}
        self.assertEqual(values, {kind.value: float(kind is ConditionKind.PROXY) for kind in ConditionKind})

    def test_documented(self) -> None:
        """docs/monitoring.md tells what each kind is."""
        page = (DOCS / "monitoring.md").read_text("utf-8")
        table = page.partition("## What is wrong now")[2]
        self.assertEqual(set(ConditionKind), set(ConditionKind) & set(re.findall(r"`([a-z-]+)`", table)))


class EarlyEventTests(SynchronousTestCase):
    """What happens before there is anybody to hear of it."""

    def test_not_lost(self) -> None:
        """A file found damaged before the log and the observers are there is told as soon as they are, once."""
        bus, conditions = EventBus(), Conditions(lambda: 1.0)
        bus.hold()
        Condition(bus, ConditionKind.STATE_FILE, "users.toml").begin("damaged")
        heard: list[object] = []
        bus.add(heard.append)
        bus.subscribe(conditions.handlers)
        bus.hand_out()
        self.assertEqual(len(heard), 1)
        self.assertEqual(len(conditions.facts()), 1)
        Condition(bus, ConditionKind.DISK).begin("full")
        self.assertEqual(len(heard), 2)


class StatusTests(SynchronousTestCase):
    """``seg status``."""

    def run_with(self, conditions: list[dict[str, object]], *words: str) -> tuple[int, str]:
        """Exit status and output, with these conditions."""
        (answer,) = (each["answers"] for each in kept()[1] if each["command"] == "seg status")
        facts: dict[str, Any] = {**answer["/v1/status"][1], "conditions": conditions}
        gateway = KeptGateway({"/v1/status": ("Status", facts)})
        with mock.patch.object(cli.CommandContext, "gateway", lambda *_: gateway):
            result = CliRunner().invoke(cli.main, ["status", *words])
        return result.exit_code, result.output

    def test_says_what_is_wrong(self) -> None:
        """A line each; the exit status stays 0, as the gateway runs."""
        wrong: dict[str, object] = {"kind": "disk", "subject": "", "text": "the disk is\x1b[2J full", "since": 0}
        status, output = self.run_with([wrong])
        self.assertEqual(status, 0)
        self.assertIn("Needs attention:     the disk is\\x1b[2J full (for ", output)
        self.assertNotIn("Needs attention", self.run_with([])[1])

    def test_check(self) -> None:
        """--check ends with 1 while something is wrong, and says only that; with 0 and nothing else."""
        wrong: dict[str, object] = {"kind": "disk", "subject": "", "text": "full", "since": 0}
        for words in (("--check",), ("--check", "--json"), ("detail", "--check")):
            self.assertEqual(self.run_with([wrong], *words)[0], 1, words)
            self.assertEqual(self.run_with([], *words)[0], 0, words)
        self.assertEqual(self.run_with([], "--check")[1], "")
