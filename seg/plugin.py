"""What plugins of third parties may import: TLS policy providers, filters and checkers of users (``docs/providers.md``, ``docs/filters.md``,
``docs/submission.md``). Nothing of the gateway imports this module.
"""

from __future__ import annotations

from seg.auth.interfaces import (
    CheckerContext,
    CheckUnavailable,
    ICheckerFactory,
    ISaltSource,
    IScramCredentials,
    ISubmitter,
    WrongPassword,
)
from seg.dns.interfaces import IResolver
from seg.events.base import IEventSink
from seg.filter.interfaces import FilterContext, IMessageFilter, IMessageFilterFactory
from seg.mail.errors import LocalFault
from seg.mail.hosts import MXHost
from seg.policy.interfaces import (
    IHostPolicy,
    IPublishedPolicyProvider,
    ITLSPolicyProvider,
    ITLSPolicyProviderFactory,
    ProviderContext,
)
from seg.queue.interfaces import IContent
from seg.tls.interfaces import IAuthenticator

__all__ = [
    "CheckUnavailable",
    "CheckerContext",
    "FilterContext",
    "IAuthenticator",
    "ICheckerFactory",
    "IContent",
    "IEventSink",
    "IHostPolicy",
    "IMessageFilter",
    "IMessageFilterFactory",
    "IPublishedPolicyProvider",
    "IResolver",
    "ISaltSource",
    "IScramCredentials",
    "ISubmitter",
    "ITLSPolicyProvider",
    "ITLSPolicyProviderFactory",
    "LocalFault",
    "MXHost",
    "ProviderContext",
    "WrongPassword",
]
