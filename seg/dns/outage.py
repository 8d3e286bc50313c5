"""Resolvers that are away, and questions that can't be put: told once, with what follows for DANE."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from twisted.internet.interfaces import IReactorTime

from seg.config.schema import UntrustedFallback
from seg.dns.answer import FailureKind
from seg.dns.servers import UpstreamServer
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.gateway import ConditionKind
from seg.mail.errors import LocalFault

QUIET = 60.0  # seconds without a fault of ours until it counts as over

SILENT = 20  # questions in a row to which nobody replied, until the resolvers are asked something of their own
_SILENT = frozenset({FailureKind.TIMEOUT, FailureKind.NETWORK})
_FOLLOWS = {
    UntrustedFallback.DEFER: "DANE can't be applied, and mail to domains known to have it waits",
    UntrustedFallback.INSECURE: "DANE isn't applied",
}


class Outages:
    """What is wrong with the resolvers now.

    :param recovered: called when a believed resolver answers again after others answered in its place.
    """

    def __init__(
        self, servers: Sequence[UpstreamServer], fallback: UntrustedFallback, sink: IEventSink, clock: IReactorTime
    ) -> None:
        self.recovered: Callable[[], object] = lambda: None
        self._servers = servers
        self._follows = _FOLLOWS[fallback]
        self._clock = clock
        self._resolvers = Condition(sink, ConditionKind.RESOLVER)
        self._local = Condition(sink, ConditionKind.LOCAL, "dns")
        self._substituted = False
        self._silent = 0  # questions since anybody replied
        self._away = False  # nobody replied even to a question that no domain has a part in
        self._lacked_at = 0.0

    def follow(self, former: Outages) -> None:
        """Go on with what lasts, after a reload with other resolvers."""
        self._resolvers, self._local, self._lacked_at = former._resolvers, former._local, former._lacked_at

    def substitutes(self, server: UpstreamServer) -> bool:
        """Whether an answer of this server stands in for one that the operator would believe."""
        return not server.believed and any(other.believed for other in self._servers)

    def substituted(self, server: UpstreamServer, away: bool) -> None:
        """A server that isn't believed has answered.

        :param away: nobody was there at any believed one, rather than that they didn't serve this question.
        """
        self._substituted = True
        if away:
            self._resolvers.begin(
                f"the trusted resolvers are away; {server} answers without validation: {self._follows}"
            )

    async def unanswered(self, kinds: Iterable[FailureKind], ask_root: Callable[[], Awaitable[bool | None]]) -> bool:
        """No server has replied to a question. Whether that is an outage of ours, and says nothing of the domain: nobody was there, or nobody
        replies to anything any more.

        Time-outs may be the domains', however many come in a row: strangers choose which domains are asked for, and how their name servers
        behave. So after some of them the resolvers are asked about the root, and that decides.

        :param kinds: how each server failed.
        :param ask_root: asks, and says whether anybody replied; None: that isn't known.
        """
        failed = set(kinds)
        if not failed <= _SILENT:
            return False
        if FailureKind.TIMEOUT in failed:
            self._silent += 1
            if self._silent % SILENT == 0:
                answered = await ask_root()
                if answered is not None:
                    self._away = not answered
            if not self._away:
                return False
        self._resolvers.begin("no resolver answers: mail waits")
        return True

    def replied(self, server: UpstreamServer) -> None:
        """A server is there, whatever it said."""
        if self._local.active and self._clock.seconds() - self._lacked_at >= QUIET:
            self._local.end("questions to the resolvers are put again")
        self._silent, self._away = 0, False
        if self.substitutes(server):
            return
        if self._resolvers.active:
            trusted = "a trusted resolver" if server.believed else "a resolver"
            self._resolvers.end(f"{trusted} answers again")
        if self._substituted:
            self._substituted = False
            self.recovered()

    def lacked(self, fault: LocalFault) -> None:
        """A question couldn't be put."""
        self._lacked_at = self._clock.seconds()
        self._local.begin(f"{fault.text}: mail that needs an answer waits")
