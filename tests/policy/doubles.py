"""Providers with a fixed answer."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from seg.config.destinations import Profile, TLSOption
from seg.mail.hosts import MXHost, Route, RouteKind
from seg.policy.interfaces import IHostPolicy, IPublishedPolicyProvider, ITLSPolicyProvider
from seg.policy.requirement import Answer, DomainQuestion


@implementer(ITLSPolicyProvider, IHostPolicy)
class FixedProvider:
    """Gives the same answer for every host, and counts how often it was asked."""

    def __init__(self, name: str, answer: Answer | Callable[[MXHost], Answer]) -> None:
        self.name = name
        self.opened = 0
        self.asked: list[str] = []
        self._answer = answer

    def open(self, question: DomainQuestion) -> FixedProvider:
        """Itself."""
        self.opened += 1
        return self

    async def answer(self, host: MXHost) -> Answer:
        """The answer."""
        self.asked.append(host.name)
        return self._answer(host) if callable(self._answer) else self._answer


@implementer(IPublishedPolicyProvider)
class PublishedProvider(FixedProvider):
    """Speaks for the recipient's domain."""


def question(tls: TLSOption = TLSOption.PREFERRED, domain: str = "domain.com") -> DomainQuestion:
    """Asked for a domain with a TLS option."""
    return DomainQuestion(domain, Profile(tls=tls), Route(domain, RouteKind.MX, ()))


def host(name: str = "mx1.hoster.example") -> MXHost:
    """A host without addresses."""
    return MXHost(name, 10, ())
