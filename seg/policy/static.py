"""The operator's own word: TLS support 1 to 6 of the destination control profile, as a policy provider."""

from __future__ import annotations

import attrs
from zope.interface import implementer

from seg.config.destinations import TLSOption
from seg.mail.hosts import MXHost
from seg.policy.interfaces import IHostPolicy, ITLSPolicyProvider
from seg.policy.requirement import Answer, DomainQuestion, Observe, Raise, Requirement, TLSLevel
from seg.policy.sources import STATIC
from seg.tls.webpki import WebPKI

NAME = STATIC

_HOSTED_HINT = (
    "TLS option 6 (required-verify-hosted) fits a domain whose hoster's certificates name the MX host instead"
)


def static_answer(option: TLSOption, domain: str, host: str) -> Answer:
    """What the profile's TLS option asks of one host.

    Options 4 and 5 want a certificate for the domain. Where an authenticated policy ties the host to the
    domain (MTA-STS enforce), the host's name will do. Option 6 takes either, whoever said that this is the
    host.
    """
    by_domain = WebPKI((domain,), NAME, _HOSTED_HINT)
    by_either = WebPKI(tuple(dict.fromkeys((domain, host))), NAME)
    preferred = Requirement(TLSLevel.MAY, source=NAME, clear_retry=True)
    required = Requirement(TLSLevel.MUST, source=NAME)
    verified = attrs.evolve(required, authenticators=(by_domain,), tied_authenticators=(by_either,))
    if option is TLSOption.NO:
        return Raise(Requirement(TLSLevel.NEVER, source=NAME), option.label)
    if option is TLSOption.PREFERRED:
        return Raise(preferred, option.label)
    if option is TLSOption.REQUIRED:
        return Raise(required, option.label)
    if option is TLSOption.PREFERRED_VERIFY:
        return Observe(verified, option.label, floor=preferred)
    if option is TLSOption.REQUIRED_VERIFY:
        return Raise(verified, option.label)
    return Raise(attrs.evolve(required, authenticators=(by_either,)), option.label)


@implementer(IHostPolicy)
@attrs.frozen
class StaticPolicy:
    """The profile's TLS option for one domain."""

    question: DomainQuestion

    async def answer(self, host: MXHost) -> Answer:
        """See `static_answer`. The host of an SMTP route stands for the MX host."""
        return static_answer(self.question.profile.tls, self.question.domain, host.name)


@implementer(ITLSPolicyProvider)
class StaticProvider:
    """Asked last: it always has an answer."""

    name = NAME

    def open(self, question: DomainQuestion) -> StaticPolicy:
        """Begin an attempt for a domain."""
        return StaticPolicy(question)
