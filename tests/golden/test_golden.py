"""Nothing changes for an operator unnoticed."""

from __future__ import annotations

from difflib import unified_diff

from twisted.trial.unittest import SynchronousTestCase

from seg.queue.codec import StoredEnvelope, decode, encode
from tests.golden import spool, surface


class SurfaceTests(SynchronousTestCase):
    """Lines of the log, JSON, metrics, keys, commands and the API are what the files here say."""

    def hold(self, name: str) -> None:
        """One surface is as it is kept; a change that is meant is written by the command and read in the difference."""
        before, now = surface.kept(name).read_text("utf-8"), surface.text(name)
        if before != now:
            difference = unified_diff(before.splitlines(), now.splitlines(), "kept", "now", lineterm="", n=1)
            self.fail("\n".join([*difference, f"If this is meant: {surface.COMMAND}"]))

    def test_log_lines(self) -> None:
        """Text and JSON of every event."""
        self.hold("log_lines")

    def test_metrics(self) -> None:
        """Names, types and labels of the metrics."""
        self.hold("metrics")

    def test_configuration(self) -> None:
        """Keys, defaults and values of the configuration."""
        self.hold("configuration")

    def test_commands(self) -> None:
        """Verbs, arguments and options."""
        self.hold("commands")

    def test_api(self) -> None:
        """Operations of the admin API and the fields of their answers."""
        self.hold("api")


class SpoolTests(SynchronousTestCase):
    """A spool that any version wrote is read, and is written as that version reads it."""

    def test_written(self) -> None:
        """Each shape of an envelope is written as the line that is kept."""
        lines = spool.LINES.read_bytes().splitlines(keepends=True)
        now = [encode(s.envelope, s.failures, s.relayed) for s in spool.shapes()]
        self.assertEqual(
            [line for line in now if line not in lines], [], "add them to spool.jsonl; change none of the old"
        )

    def test_read(self) -> None:
        """Each kept line is read, and says the same when it is written again."""
        for line in spool.LINES.read_bytes().splitlines(keepends=True):
            stored: StoredEnvelope = decode(line)
            self.assertEqual(encode(stored.envelope, stored.failures, stored.relayed), line)
