"""What a TLS policy provider promises, and what it may use (``docs/providers.md``)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs
from zope.interface import Attribute, Interface

from seg.dns.interfaces import IResolver
from seg.events.base import IEventSink
from seg.mail.hosts import MXHost
from seg.policy.requirement import Answer, DomainQuestion


@attrs.frozen
class ProviderContext:
    """What a provider may use of the gateway (`ITLSPolicyProviderFactory.create`)."""

    resolver: IResolver  # cached answers, with DNSSEC's word on each
    sink: IEventSink
    reactor: Any


class IHostPolicy(Interface):
    """One provider's view of one domain for one attempt."""

    def answer(host: MXHost) -> Awaitable[Answer]:
        """What this host must satisfy. Never raises: an error of any kind is a `TempFail` or a `NoOpinion`, with reason."""


class ITLSPolicyProvider(Interface):
    """A source of TLS policy. Registered ones are asked in the operator's order: DANE, MTA-STS, static."""

    name = Attribute("str: short name in logs and configuration, e.g. 'dane'")

    def open(question: DomainQuestion) -> IHostPolicy:
        """Begin an attempt for a domain. Looks nothing up yet: lookups happen in the first `IHostPolicy.answer`, so that
        a provider behind one that decides costs nothing."""


class IPublishedPolicyProvider(ITLSPolicyProvider):
    """A provider that speaks for the recipient's domain, by what that has published: DANE, MTA-STS. A sender may wish to set its policy
    aside for a message (``TLS-Required: No``, RFC 8689 §5). Any other provider is the operator's word, which no header touches."""


class ITLSPolicyProviderFactory(Interface):
    """Makes a provider of a third party. Registered as a Twisted plugin (with `twisted.plugin.IPlugin`), it is found when
    ``[delivery] providers`` in seg.toml has its name."""

    name = Attribute("str: the name of the provider that it makes")

    def create(context: ProviderContext) -> ITLSPolicyProvider:
        """The provider; called once at the start. Looks nothing up. Whatever it raises stops the start with its text."""
