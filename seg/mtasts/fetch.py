"""Fetches policies by HTTPS (RFC 8461 §3.3), so many at a time, each within its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from seg.config.schema import MTASTS
from seg.interfaces import IPolicyFetcher, IResolver
from seg.mtasts.answer import PolicyAnswer
from seg.mtasts.checked import Progress
from seg.mtasts.connect import PolicyHostEndpoint, Target
from seg.mtasts.errors import FetchError, FetchFault
from seg.mtasts.proxy import parse_proxy
from seg.mtasts.request import get_policy
from seg.tls.context import ClientTLS
from seg.tls.names import is_host_name, printable
from seg.tls.peer import Trust
from seg.tls.webpki import WebPKI

T = TypeVar("T")

SOURCE = "mta-sts"
HTTPS_PORT = 443


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
    :raises ValueError: the proxy of the settings isn't a proxy URL.
    """

    def __init__(
        self,
        reactor: object,
        resolver: IResolver,
        settings: MTASTS,
        tls: ClientTLS,
        trust: Callable[[], Trust],
    ) -> None:
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self._resolver = resolver
        self._settings = settings
        self._tls = tls
        self._trust = trust
        self._proxy = parse_proxy(settings.proxy)
        self._turns = DeferredSemaphore(settings.max_fetches)  # first come, first served

    def fetch(self, domain: str) -> Deferred[bytes]:
        """The policy text of a domain (`IPolicyFetcher.fetch`). Cancelling closes the connection.

        The time for waiting one's turn is bounded as that for the fetch itself.
        """
        return self.look(domain).addCallback(lambda answer: answer.body)

    def look(self, domain: str) -> Deferred[PolicyAnswer]:
        """A fetch, and what it met on its way (`IPolicyFetcher.look`)."""
        return Deferred.fromCoroutine(self._look(domain, Progress()))

    async def _look(self, domain: str, progress: Progress) -> PolicyAnswer:
        url = policy_url(domain, self._settings.port)
        try:
            body = await self._fetch(domain, url, progress)
        except FetchError as error:
            error.url, error.doing, error.met = url, progress.doing, self._met(url, progress)
            raise
        return self._met(url, progress, body)

    def _met(self, url: str, progress: Progress, body: bytes = b"") -> PolicyAnswer:
        proxy = self._proxy.where if self._proxy else ""
        return PolicyAnswer(url, proxy, progress.peer, progress.facts, body)

    async def _fetch(self, domain: str, url: str, progress: Progress) -> bytes:
        if not is_host_name(policy_host(domain)):
            raise FetchError(FetchFault.DNS, f"{printable(policy_host(domain))} can't be the name of a host")
        await self._in_time(self._turns.acquire(), progress)
        try:
            return await self._in_time(Deferred.fromCoroutine(self._get(domain, url, progress)), progress)
        finally:
            self._turns.release()

    async def _get(self, domain: str, url: str, progress: Progress) -> bytes:
        host = policy_host(domain)
        authenticator = WebPKI((host,), SOURCE)
        target = Target(
            host,
            self._settings.port,
            lambda peer: self._tls.creator(host, peer),
            lambda peer: authenticator.examine(peer, self._trust()),
        )
        endpoint = PolicyHostEndpoint(
            self._reactor, self._resolver, target, self._proxy, self._settings.fetch_timeout, progress
        )
        try:
            return await get_policy(self._reactor, endpoint, url, progress)
        finally:
            endpoint.close()

    def _in_time(self, work: Deferred[T], progress: Progress) -> Deferred[T]:
        def too_late(_: object, seconds: float) -> T:
            raise FetchError(FetchFault.TIMEOUT, f"timed out after {seconds:.0f} s {progress.doing}")

        return work.addTimeout(self._settings.fetch_timeout, self._clock, too_late)
