"""What plugins of third parties may import: TLS policy providers, filters and checkers of users (``docs/plugins.md``).

Nothing of the gateway imports this module. The answers of filters and of providers have a class of one name, so both are given with whose it is.
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
from seg.filter.answers import (
    Accept,
    AddField,
    Change,
    ChangeField,
    DeleteField,
    Discard,
    Hold,
    InsertField,
    Redirect,
    Reject,
)
from seg.filter.answers import TempFail as FilterTempFail
from seg.filter.interfaces import FilterContext, IMessageFilter, IMessageFilterFactory
from seg.filter.message import FilteredMessage
from seg.mail.errors import LocalFault
from seg.mail.hosts import MXHost
from seg.policy.interfaces import (
    IHostPolicy,
    IPublishedPolicyProvider,
    ITLSPolicyProvider,
    ITLSPolicyProviderFactory,
    ProviderContext,
)
from seg.policy.requirement import Decide, DomainQuestion, NoOpinion, Observe, Raise, Refuse, Requirement, TLSLevel
from seg.policy.requirement import TempFail as PolicyTempFail
from seg.queue.interfaces import IContent
from seg.tls.interfaces import IAuthenticator
from seg.tls.peer import TLSVersion
from seg.tls.webpki import WebPKI

__all__ = [
    "Accept",
    "AddField",
    "Change",
    "ChangeField",
    "CheckUnavailable",
    "CheckerContext",
    "Decide",
    "DeleteField",
    "Discard",
    "DomainQuestion",
    "FilterContext",
    "FilterTempFail",
    "FilteredMessage",
    "Hold",
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
    "InsertField",
    "LocalFault",
    "MXHost",
    "NoOpinion",
    "Observe",
    "PolicyTempFail",
    "ProviderContext",
    "Raise",
    "Redirect",
    "Refuse",
    "Reject",
    "Requirement",
    "TLSLevel",
    "TLSVersion",
    "WebPKI",
    "WrongPassword",
]
