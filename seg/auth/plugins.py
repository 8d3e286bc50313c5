"""Checkers of third parties, found as Twisted plugins by the name that ``[auth] checker`` has (``docs/submission.md``)."""

from __future__ import annotations

from types import ModuleType

from twisted.cred.checkers import ICredentialsChecker

from seg.auth.interfaces import CheckerContext, ICheckerFactory
from seg.common.errors import ConfigurationError
from seg.common.plugins import CannotMake, NotUnique, UnfitProduct, made_by, plugins_of
from seg.config.problems import offered


def checker_named(name: str, context: CheckerContext, package: ModuleType | None = None) -> ICredentialsChecker:
    """The checker that a plugin makes.

    :param package: where plugins are; None is ``twisted.plugins``.
    :raises ConfigurationError: there is none of this name, or it can't be made.
    """
    try:
        found = plugins_of(ICheckerFactory, (name,), package)
        if name not in found:
            raise ConfigurationError((f'[auth] checker: there is no checker "{name}"{offered(name, found)}',))
        made: ICredentialsChecker = made_by(found[name], context, ICredentialsChecker)
    except NotUnique as error:
        raise ConfigurationError((f"[auth] checker: {error}",)) from error
    except UnfitProduct as error:
        raise ConfigurationError((f'[auth] checker: "{name}" makes no ICredentialsChecker: {error}',)) from error
    except CannotMake as error:
        raise ConfigurationError((f'[auth] checker: "{name}" can\'t be made: {error.error}',)) from error.error
    return made
