"""Which log ``tail``, ``grep`` and ``findevent`` read, and what ``logconfig`` asks and lists."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from seg.cli import main as cli
from seg.config.log import Log, LogSubscription
from seg.config.values import specs

SUBSCRIPTIONS = """
[[log_subscription]]
name = "trouble"
level = "warning"
file = "trouble.txt"

[[log_subscription]]
name = "siem"
kind = "syslog"
address = "udp:192.0.2.1:514"
events = ["delivery", "policy"]

[[log_subscription]]
name = "records"
form = "json"
"""
STAMP = "Thu Nov 26 10:00:00 2026 "


class FilesTests(SynchronousTestCase):
    """Files in a folder, and no gateway."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        self.logs = folder / "var" / "log"
        self.logs.mkdir(parents=True)
        (folder / "seg.toml").write_text(f'[gateway]\nvar = "{folder}/var"\n{SUBSCRIPTIONS}')
        (folder / "destinations.toml").write_text("")
        self.configuration = str(folder / "seg.toml")
        self.write("mail.log", "MID 1 in the mail log")
        self.write("mail.@20261126T090000.s", "MID 2 in a closed one")
        self.write("trouble.txt", "MID 3 in trouble")
        self.write("trouble.@20261126T090000.s", "MID 4 in a closed trouble")
        (self.logs / "mail.jsonl").write_text('{"event":"a"}\n')
        (self.logs / "records.jsonl").write_text('{"event":"b"}\n')
        (self.logs / "records.@20261126T090000.jsonl").write_text('{"event":"c"}\n')
        self.write("former.log", "MID 5 of a subscription that is gone")
        for path in self.logs.glob("*.@*"):
            os.utime(path, (1, 1))

    def write(self, name: str, text: str) -> None:
        """A log of one line."""
        (self.logs / name).write_text(f"{STAMP}Info: {text}\n")

    def run_verb(self, *words: str) -> Result:
        """What a verb does."""
        return CliRunner().invoke(cli.main, ["--config", self.configuration, *words])

    def test_tail(self) -> None:
        """By the name of a subscription or of its file; by default the mail log."""
        for words, text in [
            ((), "mail log"),
            (("mail",), "mail log"),
            (("mail.log",), "mail log"),
            (("trouble",), "in trouble"),
            (("trouble.txt",), "in trouble"),
            (("former.log",), "of a subscription that is gone"),
            (("--json",), '{"event":"a"}'),
            (("mail.jsonl",), '{"event":"a"}'),
            (("records",), '{"event":"b"}'),
            (("records", "--json"), '{"event":"b"}'),
        ]:
            result = self.run_verb("tail", *words)
            self.assertEqual((result.exit_code, len(result.output.splitlines())), (0, 1), words)
            self.assertTrue(result.output.endswith(text + "\n"), result.output)

    def test_grep(self) -> None:
        """Closed files are those of the log that is named; with -e the only word is the log."""
        for words, texts in [
            (("MID",), ["2 in a closed one", "1 in the mail log"]),
            (("MID", "trouble"), ["4 in a closed trouble", "3 in trouble"]),
            (("-e", "MID", "trouble"), ["4 in a closed trouble", "3 in trouble"]),
            (("-e", "MID"), ["2 in a closed one", "1 in the mail log"]),
        ]:
            result = self.run_verb("grep", *words)
            self.assertEqual([line.partition("MID ")[2] for line in result.output.splitlines()], texts, words)
        result = self.run_verb("grep", "event", "records")
        self.assertEqual(result.output, '{"event":"c"}\n{"event":"b"}\n')

    def test_findevent(self) -> None:
        """The story as another log has it."""
        result = self.run_verb("findevent", "trouble", "--mid", "4")
        self.assertEqual(result.output, f"{STAMP}Info: MID 4 in a closed trouble\n")

    def test_faults(self) -> None:
        """What can't be read is named with what can."""
        there = "there are mail.jsonl, mail.log, records.jsonl, trouble.txt"
        for words, status, fault in [
            (("tail", "nothing"), 1, f"there is no log nothing in {self.logs}; {there}"),
            (("tail", "../../seg.toml"), 1, f"there is no log ../../seg.toml in {self.logs}; {there}"),
            (("tail", "siem"), 1, "siem goes to udp:192.0.2.1:514: there is no file to read here"),
            (("tail", "trouble", "--json"), 2, "trouble.txt is written as text"),
            (("findevent", "records", "--mid", "1"), 2, "records.jsonl is written as JSON"),
            (("grep", "-e", "MID", "x", "trouble"), 2, "with -e there is no other pattern"),
        ]:
            result = self.run_verb(*words)
            self.assertEqual(result.exit_code, status, words)
            self.assertIn(fault, result.output)


class GatewayDouble:
    """A configuration, and what is staged."""

    def __init__(self, settings: str) -> None:
        self.settings = settings
        self.edits: list[tuple[str, Any]] = []

    def get(self, path: str) -> Any:
        """The configuration."""
        return {"settings": self.settings, "destinations": ""}

    def post(self, path: str, edits: list[dict[str, Any]]) -> Any:
        """Edits are noted."""
        self.edits += [(".".join(edit["path"]), edit["value"]) for edit in edits]
        return {"diff": ""}


class LogConfigTests(SynchronousTestCase):
    """``seg logconfig``."""

    def run_verb(self, *words: str, settings: str = SUBSCRIPTIONS, typed: str | None = None) -> Result:
        """What it does; with `typed` at a terminal."""
        self.gateway = GatewayDouble(settings)
        with (
            mock.patch.object(cli.CommandContext, "gateway", lambda *_: self.gateway),
            mock.patch("seg.cli.logconfig.can_ask", lambda: typed is not None),
            mock.patch("seg.cli.sections.can_ask", lambda: typed is not None),
        ):
            return CliRunner().invoke(cli.main, ["logconfig", *words], input=typed)

    def test_list(self) -> None:
        """Kind, level and where of each, below the mail log's own files."""
        lines = self.run_verb("list").output.splitlines()
        self.assertEqual(lines[0], "mail.log and mail.jsonl: level info (seg logconfig --help for more)")
        self.assertEqual([line.split() for line in lines[4:] if line.strip()], [
            ["trouble", "file", "warning", "text", "trouble.txt", "all"],
            ["siem", "syslog", "info", "text", "udp:192.0.2.1:514", "delivery,", "policy"],
            ["records", "file", "info", "json", "records.jsonl", "all"],
        ])  # fmt: skip
        out = self.run_verb("list", settings="[log]\njson = false\nlevel = 'debug'\n").output
        self.assertIn("mail.log: level debug", out)
        self.assertIn("There is no log subscription (seg logconfig new NAME ...).", out)

    def test_json(self) -> None:
        """The same for programs, with what matters to each kind."""
        entries = json.loads(self.run_verb("list", "--json").output)["entries"]
        self.assertEqual(
            entries[0],
            {
                "name": "trouble", "kind": "file", "level": "warning", "form": "text", "where": "trouble.txt",
                "events": [], "message_details": False, "rotate_size": 104857600, "keep": 10, "compress": True,
            },
        )  # fmt: skip
        self.assertEqual((entries[1]["where"], entries[1]["facility"]), ("udp:192.0.2.1:514", "mail"))
        self.assertNotIn("keep", entries[1])

    def test_section(self) -> None:
        """Without a verb it is about the mail log's own files, as ever."""
        self.run_verb("--level", "debug", "--json-twin", "off")
        self.assertEqual(self.gateway.edits, [("log.level", "debug"), ("log.json", False)])
        self.assertIn("rotate_size", self.run_verb("--show").output)
        self.assertEqual(set(json.loads(self.run_verb("--json").output)), set(specs(Log)))
        self.assertIn("rotate_size", self.run_verb().output)

    def test_staged(self) -> None:
        """new, edit and delete stage one entry; options before the verb are refused."""
        self.run_verb("new", "two", "--kind", "syslog", "--facility", "local3", "--events", "dns,policy")
        wanted = {"kind": "syslog", "facility": "local3", "events": ["dns", "policy"]}
        self.assertEqual(self.gateway.edits, [("log_subscription.two", wanted)])
        self.run_verb("edit", "siem", "--level", "debug", "--reset", "events")
        self.assertEqual(
            self.gateway.edits, [("log_subscription.siem.level", "debug"), ("log_subscription.siem.events", None)]
        )
        self.run_verb("delete", "siem")
        self.assertEqual(self.gateway.edits, [("log_subscription.siem", None)])
        result = self.run_verb("--level", "debug", "new", "two")
        self.assertEqual((result.exit_code, self.gateway.edits), (2, []))
        self.assertIn("are the mail log's own: put them behind", result.output)

    def test_dialogue(self) -> None:
        """The menu asks only what matters to the kind, lists, and leads to the mail log's own settings."""
        result = self.run_verb(typed="list\nnew\ntwo\nsyslog\n\n\n\n\nudp:192.0.2.9\n\n\n")
        for key in ("file", "rotate_size", "keep", "compress"):
            self.assertNotIn(f"\n{key}: ", result.output)
        self.assertIn("- SETUP - The mail log's own two files.", result.output)
        self.assertEqual(self.gateway.edits, [("log_subscription.two", {"kind": "syslog", "address": "udp:192.0.2.9"})])
        result = self.run_verb(typed="new\nthree\n\ndebug\n" + "\n" * 8)
        self.assertNotIn("\nfacility: ", result.output)
        self.assertEqual(self.gateway.edits, [("log_subscription.three", {"level": "debug"})])
        self.run_verb(typed="setup\ny\ndebug\n" + "\n" * 6)
        self.assertEqual(self.gateway.edits, [("log.level", "debug")])

    def test_keys(self) -> None:
        """Every key of a subscription can be set."""
        help_ = self.run_verb("new", "--help").output
        for name in specs(LogSubscription).keys() - {"name"}:
            self.assertIn(f"--{name.replace('_', '-')} ", help_)
