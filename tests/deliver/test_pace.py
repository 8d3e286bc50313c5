"""Recipients per minutes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.deliver.rate_limits import SWEEP, RateLimit, SendingRates


class PaceTests(SynchronousTestCase):
    """`SendingRates`."""

    def test_window(self) -> None:
        """What was begun counts for the minutes of the window, and is let go bucket by bucket."""
        now = [1000.0]
        pace, rate = SendingRates(lambda: now[0]), RateLimit(10, 1)
        self.assertEqual((pace.allowance("a", rate), pace.free_in("a", rate)), (10, 0.0))
        pace.count("a", rate, 4)
        now[0] += 30
        pace.count("a", rate, 6)
        self.assertEqual(pace.allowance("a", rate), 0)
        self.assertEqual(pace.free_in("a", rate), 31.0)
        self.assertEqual(pace.allowance("b", rate), 10)
        now[0] += 31
        self.assertEqual((pace.allowance("a", rate), pace.free_in("a", rate)), (4, 0.0))
        now[0] += 100
        self.assertEqual(pace.allowance("a", rate), 10)
        self.assertEqual(pace._begun, {})

    def test_forgets(self) -> None:
        """Groups that nobody asks for any more are forgotten, so that there never are many more than count."""
        now = [0.0]
        pace, rate = SendingRates(lambda: now[0]), RateLimit(10, 1)
        for number in range(5 * SWEEP):
            now[0] += 1.0
            pace.count(number, rate, 1)
        self.assertLess(len(pace), SWEEP + 1)
        self.assertEqual(pace.allowance(5 * SWEEP - 1, rate), 9)

    @given(
        st.integers(1, 20),
        st.integers(1, 60),
        st.lists(st.tuples(st.floats(0, 400), st.integers(1, 30)), max_size=60),
    )
    def test_never_more(self, recipients: int, minutes: int, steps: list[tuple[float, int]]) -> None:
        """Whenever it is asked, no window of so many minutes has more recipients than allowed; and who waits as told may go on."""
        now = [0.0]
        pace, rate = SendingRates(lambda: now[0]), RateLimit(recipients, minutes)
        begun: list[tuple[float, int]] = []
        for wait, wanted in steps:
            now[0] += wait
            taken = min(wanted, pace.allowance("a", rate))
            if not taken:
                now[0] += pace.free_in("a", rate)
                taken = min(wanted, pace.allowance("a", rate))
                self.assertGreater(taken, 0)
            pace.count("a", rate, taken)
            begun.append((now[0], taken))
        for at, _ in begun:
            window = [count for when, count in begun if at - minutes * 60 < when <= at]
            self.assertLessEqual(sum(window), recipients)
