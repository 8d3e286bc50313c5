"""Checkers of third parties, found as Twisted plugins by the name that ``[auth] checker`` has (``docs/submission.md``)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.plugin import IPlugin, getPlugins
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from seg.auth.interfaces import CheckerContext, ICheckerFactory
from seg.common.errors import ConfigurationError
from seg.config.problems import offered


def checker_named(name: str, context: CheckerContext, package: ModuleType | None = None) -> ICredentialsChecker:
    """The checker that a plugin makes.

    :param package: where plugins are; None is ``twisted.plugins``.
    :raises ConfigurationError: there is none of this name, or it can't be made.
    """
    found: dict[str, Any] = {
        factory.name: factory for factory in getPlugins(IPlugin, package) if ICheckerFactory.providedBy(factory)
    }
    if name not in found:
        raise ConfigurationError((f'[auth] checker: there is no checker "{name}"{offered(name, found)}',))
    try:
        checker = found[name].create(context)
        verifyObject(ICredentialsChecker, checker)
    except Invalid as error:
        raise ConfigurationError((f'[auth] checker: "{name}" makes no ICredentialsChecker: {error}',)) from error
    except Exception as error:
        raise ConfigurationError((f'[auth] checker: "{name}" can\'t be made: {error}',)) from error
    made: ICredentialsChecker = checker
    return made
