"""Pools of places: no stranger takes all of any."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.auth.backoff import Backoff
from seg.auth.sasl_server import MOST_CHECKS
from seg.common.shares import Shares
from seg.receive.connection_counter import ConnectionCounter, ListenerConnections
from seg.receive.rates import RecipientRateLimit

GROUPS = ("a", "b", "c")
KNOWN = ip_address("192.0.2.7")


class SharesTests(SynchronousTestCase):
    """`Shares`."""

    def test_each_is_sure_of_a_share(self) -> None:
        """One group takes all that is free, and the others still have theirs."""
        shares = Shares(100, GROUPS)
        while shares.room("a"):
            shares.take("a")
        self.assertEqual(shares.total, 80)
        for _ in range(10):
            self.assertTrue(shares.room("b"))
            shares.take("b")
        self.assertFalse(shares.room("b"))
        self.assertTrue(shares.room("c"))

    def test_few_places(self) -> None:
        """Of fewer than ten places nothing is kept; many groups together keep no more than half."""
        self.assertEqual(Shares(9, GROUPS).reserved, 0)
        shares = Shares(100, [str(number) for number in range(25)])
        self.assertEqual(shares.reserved, 2)

    @given(st.integers(1, 200), st.lists(st.sampled_from((*GROUPS, "stranger")), max_size=300))
    def test_never_above_the_limit_nor_out_of_a_share(self, limit: int, asked: list[str]) -> None:
        """However they come, no more than the limit get a place, and who has less than the share gets one."""
        shares = Shares(limit, GROUPS)
        for group in asked:
            if shares.room(group):
                shares.take(group)
            elif group in GROUPS:
                self.assertGreaterEqual(shares.taken(group), shares.reserved)
        self.assertLessEqual(shares.total, limit)


def strangers(fill: Callable[[str], bool], most: int) -> int:
    """As many clients as there may be, from a /64 each, take what they get; how much that was."""
    return sum(fill(f"2001:db8:0:{number:x}::1") for number in range(most))


class EveryPoolTests(SynchronousTestCase):
    """The pools whose places strangers can take: some stay for those who are known. (The admin API's is in tests.admin.test_tcp.)"""

    def test_connections(self) -> None:
        """Strangers at one listener leave places for another listener's clients, and for those who may relay."""
        connections = ConnectionCounter(100, 50, ("relay", "submission"))
        relay, submission = (
            ListenerConnections(connections, name, lambda client: client == KNOWN) for name in ("relay", "submission")
        )
        self.assertEqual(strangers(lambda text: not relay.acquire(ip_address(text)), 300), 80)
        self.assertEqual(submission.acquire(ip_address("2001:db8:1::1")), "")
        self.assertEqual(relay.acquire(KNOWN), "")
        self.assertEqual(relay.acquire(ip_address("127.0.0.1")), "")
        self.assertIn("in all", relay.acquire(ip_address("2001:db8:1::1")))

    def test_passed_on(self) -> None:
        """A stranger behind a load balancer counts as a stranger once it is known, a client that may relay as that."""
        connections, balancer = ConnectionCounter(100, 100, ("relay",)), ip_address("10.0.0.1")
        relay = ListenerConnections(connections, "relay", lambda client: client in (KNOWN, balancer))
        strangers(lambda text: not relay.acquire(ip_address(text)), 300)
        self.assertEqual(relay.acquire(balancer), "")
        self.assertFalse(relay.move(balancer, ip_address("2001:db8:1::1")))
        relay.release(ip_address("2001:db8:1::1"))
        self.assertEqual(relay.acquire(balancer), "")
        self.assertTrue(relay.move(balancer, KNOWN))

    def test_one_client(self) -> None:
        """All addresses of a /64 are one client, for connections and for recipients; it never has more than half of all."""
        connections = ConnectionCounter(100, 5)
        entered = [connections.acquire(ip_address(f"2001:db8::{number}")) for number in range(1, 21)]
        self.assertEqual(entered.count(""), 5)
        self.assertTrue(connections.exceeds(ip_address("2001:db8::ffff"), 4))
        rates = RecipientRateLimit(lambda: 0.0)
        counted = [rates.count(ip_address(f"2001:db8::{number}"), 5) for number in range(1, 21)]
        self.assertEqual(counted.count(True), 5)
        connections = ConnectionCounter(20, 100)
        self.assertEqual([connections.acquire(KNOWN) for _ in range(20)].count(""), 10)

    def test_password_checks(self) -> None:
        """Of the checks under way some are kept for clients that were let in of late."""
        backoff = Backoff(Clock().seconds)
        self.assertFalse(backoff.known(KNOWN))
        backoff.succeeded(KNOWN, "user")
        self.assertTrue(backoff.known(KNOWN))
        checks = Shares(MOST_CHECKS, ("known",))

        def fill(text: str) -> bool:
            if room := checks.room(""):
                checks.take("")
            return room

        self.assertEqual(strangers(fill, 2 * MOST_CHECKS), MOST_CHECKS * 9 // 10)
        self.assertTrue(checks.room("known"))
