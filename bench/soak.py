"""Kills a gateway under load for hours, and prints what was lost or repeated.

``python -m bench.soak [--kills 1000] [--hours 8] [--clients 20] [--longest 10]``

Each round is a campaign of ten kills with a fresh folder, so that a fault can be looked at: a folder in which something was lost
or half sent is kept, and named. Ends with 1 if there was one.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.load import campaign

ROUND = 10  # kills in one folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument(
        "--longest", type=float, default=10.0, help="seconds between a start and the next kill, at most"
    )
    options = parser.parse_args()
    end = time.monotonic() + 3600 * options.hours
    chance = random.Random()
    kills = bad = 0
    while kills < options.kills and time.monotonic() < end:
        folder = Path(tempfile.mkdtemp(prefix="seg-soak-"))
        moments = (chance.uniform(0.2, options.longest) for _ in itertools.count())
        left = end - time.monotonic()
        figures = campaign(folder / "gateway", min(ROUND, options.kills - kills), moments, options.clients, left)
        kills += figures.kills
        print(f"{time.strftime('%H:%M:%S')} {figures}", flush=True)
        if figures.lost or figures.half or figures.late:
            bad += 1
            print(f"  kept: {folder}; lost {figures.lost[:5]}, half {figures.half[:5]}, late {figures.late[:5]}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{kills} kills, {bad} rounds with a fault")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
