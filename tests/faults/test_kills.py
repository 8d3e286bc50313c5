"""kill -9 of the real gateway under load, again and again."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.load import campaign

KILLS = 20
SECONDS = float(os.environ.get("SEG_FAULTS_SECONDS", "40"))  # a machine that is slow makes fewer kills in this time


class KillTests(SynchronousTestCase):
    """A campaign."""

    def test_kills(self) -> None:
        """Nothing that got its 250 is lost, nothing is half sent, and what was settled more than a second before a kill isn't sent again."""
        random_ = random.Random(5)
        figures = campaign(
            Path(self.mktemp()).absolute(), KILLS, (random_.uniform(0.5, 2) for _ in itertools.count()), seconds=SECONDS
        )
        self.assertGreater(figures.accepted, 50, str(figures))
        self.assertEqual((figures.lost, figures.half, figures.late), ((), (), ()), str(figures))
