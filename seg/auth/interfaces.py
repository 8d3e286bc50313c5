"""What the SASL server asks of a checker, and how a third party's is found (``docs/submission.md``).

A checker is an `ICredentialsChecker` of `twisted.cred` for `IUsernamePassword`: name and password as UTF-8, prepared by RFC 8265.
If it provides `ISaltSource` as well, and checks `IScramCredentials`, SCRAM is offered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from seg.auth.scram_keys import Salt, ScramKeys
from seg.events.base import IEventSink


class CheckUnavailable(Exception):
    """Nobody can say now whether the credentials are right: the client is told to come again (454 4.7.0)."""


class WrongPassword(UnauthorizedLogin):
    """There is such a user, with another password. A checker that tells them apart lets the log name the user whatever the mechanism:
    what LOGIN gives for a name may be a password."""


class IScramCredentials(ICredentials):
    """What a client proved by SCRAM-SHA-256. `twisted.cred` leaves the interface to its users."""

    username = Attribute("bytes: the name, prepared, as UTF-8")

    def check_keys(keys: ScramKeys) -> bool:
        """Whether the proof was made with the password of these keys."""


class ISaltSource(Interface):
    """Knows the salts of SCRAM."""

    def salt(user: str) -> Awaitable[Salt]:
        """The salt of a user; a decoy, always the same one, for a user who has no keys.

        :raises CheckUnavailable: it can't be looked up.
        """


class ISubmitter(Interface):
    """The avatar: somebody who may hand in mail."""

    identity = Attribute("str: the name for logs")


@attrs.frozen
class CheckerContext:
    """What a checker may use of the gateway."""

    sink: IEventSink
    reactor: Any
    in_thread: Callable[[Callable[[], Any]], Deferred[Any]]  # runs a function in a thread


class ICheckerFactory(Interface):
    """Makes a checker of a third party. Registered as a Twisted plugin (with `twisted.plugin.IPlugin`), it is found when
    ``[auth] checker`` in seg.toml has its name."""

    name = Attribute("str: the name of the checker, in configuration and log")

    def create(context: CheckerContext) -> ICredentialsChecker:
        """The checker; called once at the start. Whatever it raises stops the start with its text."""
