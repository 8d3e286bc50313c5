"""Durations and sizes."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.config.units import parse_duration, parse_size, show_duration, show_size


class UnitTests(SynchronousTestCase):
    """Texts with a unit."""

    def test_durations(self) -> None:
        """Durations are sums of numbers with unit; anything else is none."""
        wanted = {
            "90s": 90,
            "15m": 900,
            "72h": 259200,
            "1h30m": 5400,
            "1h 30m": 5400,
            "250ms": 0.25,
            "1.5h": 5400,
            "2w": 1209600,
        }
        self.assertEqual({text: parse_duration(text) for text in wanted}, wanted)
        for text in ("", "15", "m", "15x", "-5m", "1h30", "15 M", "1e3s", "\u0661s"):
            self.assertIsNone(parse_duration(text), text)

    def test_sizes(self) -> None:
        """Sizes have a unit by 1000 or by 1024; a bare letter is ambiguous and none."""
        wanted = {
            "10 kB": 10000,
            "25MiB": 26214400,
            "25 mib": 26214400,
            "1.5 KiB": 1536,
            "7 B": 7,
            "1GB": 10**9,
        }
        self.assertEqual({text: parse_size(text) for text in wanted}, wanted)
        for text in ("", "25", "25M", "25 XiB", "-1 kB", "1 kB 2 kB"):
            self.assertIsNone(parse_size(text), text)

    @settings(max_examples=100)
    @given(st.integers(0, 10**9))
    def test_shown_is_read_back(self, number: int) -> None:
        """What is shown of a number reads back as the same number."""
        self.assertEqual(parse_size(show_size(number)), number)
        self.assertEqual(parse_duration(show_duration(float(number))), float(number))
