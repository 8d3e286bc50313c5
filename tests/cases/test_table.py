"""The table of reports names tests that exist."""

from __future__ import annotations

from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from tests.cases import REPORTS


class TableTests(SynchronousTestCase):
    """`tests.cases.REPORTS`."""

    def test_tests_exist(self) -> None:
        """Every test named is there, and says what it shows."""
        for report, name in REPORTS.items():
            place, _, method = name.rpartition(".")
            module, _, case = place.rpartition(".")
            test = getattr(getattr(import_module(module), case), method, None)
            self.assertIsNotNone(test, f"{report}: {name}")
            self.assertTrue(test.__doc__, f"{report}: {name}")
