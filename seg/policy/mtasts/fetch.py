"""Fetches policies by HTTPS (RFC 8461 §3.3), so many at a time, each within its time."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from seg.common.clock import stood_still
from seg.config.schema import MTASTS, WhenProxyFails
from seg.dns.address_rules import AddressRules
from seg.dns.interfaces import IResolver
from seg.mail.errors import local_fault
from seg.policy.mtasts.answer import FetchTrace
from seg.policy.mtasts.bounds import FetchBounds
from seg.policy.mtasts.connect import PolicyHostEndpoint, Target
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault
from seg.policy.mtasts.interfaces import IPolicyFetcher
from seg.policy.mtasts.proxy import parse_proxy
from seg.policy.mtasts.request import get_policy
from seg.policy.mtasts.turns import Claim, FetchTurns
from seg.policy.mtasts.verified import FetchProgress
from seg.tls.context import ClientTLS
from seg.tls.names import is_host_name, printable
from seg.tls.peer import Trust
from seg.tls.webpki import WebPKI

SOURCE = "mta-sts"
HTTPS_PORT = 443
LONGEST_WAIT = 60.0  # seconds for a turn; who has waited longer is deferred, and comes again
NOBODY = Claim()


def policy_host(domain: str) -> str:
    """The host that serves a domain's policy."""
    return f"mta-sts.{domain}"


def policy_url(domain: str, port: int = HTTPS_PORT) -> str:
    """Where a domain's policy is (RFC 8461 §3.2)."""
    where = policy_host(domain) if port == HTTPS_PORT else f"{policy_host(domain)}:{port}"
    return f"https://{where}/.well-known/mta-sts.txt"


@implementer(IPolicyFetcher)
class PolicyFetcher:
    """Fetches the text of policies; what they mean isn't looked at here.

    :param reactor: TCP, names (for the proxy) and time.
    :param trust: whom we trust now; asked once for each handshake.
    :param rules: which addresses the DNS may name.
    :raises ValueError: the proxy of the settings isn't a proxy URL.
    """

    def __init__(
        self,
        reactor: object,
        resolver: IResolver,
        settings: MTASTS,
        tls: ClientTLS,
        trust: Callable[[], Trust],
        rules: AddressRules = AddressRules(),  # noqa: B008 - immutable
    ) -> None:
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self._resolver = resolver
        self._settings = settings
        self._tls = tls
        self._trust = trust
        self._rules = rules
        self._proxy = parse_proxy(settings.proxy)
        self._turns = FetchTurns(self._clock, settings.max_fetches, LONGEST_WAIT)

    def fetch(self, domain: str, claim: Claim = NOBODY) -> Deferred[bytes]:
        """The policy text of a domain (`IPolicyFetcher.fetch`). Cancelling closes the connection.

        The time for waiting one's turn is bounded too, and isn't counted as time of the fetch.
        """
        return self.look(domain, claim).addCallback(lambda answer: answer.body)

    def look(self, domain: str, claim: Claim = NOBODY) -> Deferred[FetchTrace]:
        """A fetch, and what it met on its way (`IPolicyFetcher.look`)."""
        return Deferred.fromCoroutine(self._look(domain, claim, FetchProgress()))

    async def _look(self, domain: str, claim: Claim, progress: FetchProgress) -> FetchTrace:
        url = policy_url(domain, self._settings.port)
        before = stood_still(self._clock)
        try:
            body = await self._fetch(domain, url, claim, progress)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - what isn't known to be the policy host's fault is ours
            failure = self._judged(error, progress)
            if isinstance(failure, FetchError) and stood_still(self._clock) > before:
                # The policy host may have given up on us.
                failure = OwnFetchFault(FetchFault.LOCAL, f"this gateway was stopped meanwhile: {failure.cause}")
            if isinstance(failure, FetchError):
                failure.url = url
            failure.doing, failure.met = progress.doing, self._met(url, progress)
            raise failure from None
        return self._met(url, progress, body)

    def _judged(self, error: Exception, progress: FetchProgress) -> FetchError | OwnFetchFault:
        """Whose fault an error is: the policy host's, or ours."""
        if isinstance(error, OwnFetchFault):
            return error
        if isinstance(error, FetchError):
            return self._ours(error, progress) or error
        lack = local_fault(error)
        return OwnFetchFault(FetchFault.LOCAL, lack.text if lack else f"internal error: {error!r:.200}")

    def _ours(self, error: FetchError, progress: FetchProgress) -> OwnFetchFault | None:
        """The fault of ours that stands behind an error; None where it is the policy host's."""
        if error.fault is FetchFault.TIMEOUT and not progress.peer:
            # A host whose name servers are silent is told by the resolver, within its own time: whatever takes longer is ours.
            return OwnFetchFault(FetchFault.LOCAL, error.cause)
        if self._proxy is None or self._settings.when_proxy_fails is WhenProxyFails.CONTINUE:
            return None
        # Behind the proxy's 200 it is the policy host that speaks; but a connection may always be the proxy's that breaks.
        early = (error.fault is FetchFault.TLS and error.doubtful) or (
            error.fault is FetchFault.TIMEOUT and not progress.handshaking
        )
        if error.fault is FetchFault.PROXY and error.of_host:
            return None
        if error.fault is FetchFault.PROXY:
            return OwnFetchFault(FetchFault.PROXY, error.cause, doubtful=error.doubtful)
        if early or error.fault is FetchFault.CONNECT:
            about = "" if str(self._proxy) in error.cause else f" (through proxy {self._proxy})"
            return OwnFetchFault(FetchFault.PROXY, error.cause + about, doubtful=True)
        return None

    def _met(self, url: str, progress: FetchProgress, body: bytes = b"") -> FetchTrace:
        proxy = self._proxy.where if self._proxy else ""
        return FetchTrace(url, proxy, progress.peer, progress.facts, body)

    async def _fetch(self, domain: str, url: str, claim: Claim, progress: FetchProgress) -> bytes:
        if not is_host_name(policy_host(domain)):
            raise FetchError(FetchFault.DNS, f"{printable(policy_host(domain))} can't be the name of a host")
        bounds = FetchBounds(self._clock, self._settings.fetch_timeout, self._turns, claim, progress)
        return await bounds.within(self._get(domain, url, progress, bounds))

    async def _get(self, domain: str, url: str, progress: FetchProgress, bounds: FetchBounds) -> bytes:
        host = policy_host(domain)
        authenticator = WebPKI((host,), SOURCE)
        target = Target(
            host,
            self._settings.port,
            self._tls,
            lambda peer: authenticator.examine(peer, self._trust()),
        )
        endpoint = PolicyHostEndpoint(self._reactor, self._resolver, target, self._proxy, bounds, self._rules)
        try:
            return await get_policy(self._reactor, endpoint, url, progress)
        finally:
            endpoint.close()
