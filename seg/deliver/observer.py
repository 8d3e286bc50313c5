"""What an attempt tells of itself."""

from __future__ import annotations

from collections.abc import Mapping

from zope.interface import Interface

from seg.deliver.verified_connection import VerifiedConnection
from seg.mail.errors import DeliveryError, Temporary
from seg.mail.hosts import MXHost, PeerAddress, Route
from seg.mail.outcome import Outcome
from seg.policy.judge import Verdict
from seg.policy.requirement import Decision


class IAttemptObserver(Interface):
    """Hears of each step of an attempt, in order; decides nothing, and never raises."""

    def route_found(route: Route) -> None:
        """The next hops are known."""

    def route_failed(error: DeliveryError) -> None:
        """There are none."""

    def decided(host: MXHost, decision: Decision) -> None:
        """How a host must be reached, or that it may not be."""

    def host_refused(decision: Decision) -> None:
        """TLS policy forbids a host; it isn't contacted."""

    def policy_violated(decision: Decision, verdict: Verdict, given_up: bool) -> None:
        """A session doesn't satisfy the decision.

        :param given_up: the operator lets mail go on without the policy that failed.
        """

    def address_failed(decision: Decision, address: PeerAddress, error: Temporary) -> None:
        """No session came about at an address, or none that may have the message."""

    def connected(decision: Decision, connection: VerifiedConnection) -> None:
        """A session satisfies the decision."""

    def transmitting(connection: VerifiedConnection, rids: tuple[int, ...]) -> None:
        """A transaction for these recipients begins."""

    def transmitted(connection: VerifiedConnection, results: Mapping[int, Outcome]) -> None:
        """A transaction has ended."""
