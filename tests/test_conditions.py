"""Conditions: told once when they begin and once when they end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.events.conditions import Condition
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind
from tests.doubles import RecordingSink


class ConditionTests(SynchronousTestCase):
    """`Condition`."""

    def test_told_once(self) -> None:
        """However often it fails in between; another text is told, and an end that had no beginning isn't."""
        events = RecordingSink()
        condition = Condition(events, ConditionKind.DISK, "spool")
        condition.end("never began")
        condition.begin("No space left on device")
        condition.begin("No space left on device")
        condition.begin("Input/output error")
        self.assertTrue(condition.active)
        condition.end("can be written again")
        condition.end("can be written again")
        self.assertFalse(condition.active)
        kind = ConditionKind.DISK
        expected = [
            ConditionBegan(kind, "spool", "No space left on device"),
            ConditionBegan(kind, "spool", "Input/output error"),
            ConditionEnded(kind, "spool", "can be written again"),
        ]
        self.assertEqual(events.events, expected)
