"""TLS policy providers of third parties, found as Twisted plugins (``docs/providers.md``)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import ModuleType

from seg.common.errors import ConfigurationError
from seg.common.plugins import CannotMake, NotUnique, UnfitProduct, made_by, place_of, plugins_of
from seg.config.problems import offered
from seg.policy.interfaces import ITLSPolicyProvider, ITLSPolicyProviderFactory, ProviderContext
from seg.policy.sources import OWN


def in_order(
    wanted: Iterable[str],
    own: Iterable[ITLSPolicyProvider],
    context: ProviderContext,
    package: ModuleType | None = None,
) -> tuple[ITLSPolicyProvider, ...]:
    """The providers of these names in this order: our own, and plugins for the other names.

    Plugins are looked for only when a name isn't one of ours, and made only when they are named.

    :param package: where plugins are; None is ``twisted.plugins``.
    :raises ConfigurationError: there is no provider of a name, or it can't be made.
    """
    known = {provider.name: provider for provider in own}
    foreign = set(wanted) - set(known)
    factories = _factories(foreign, package) if foreign else {}
    found = []
    for name in wanted:
        if name in known:
            found.append(known[name])
        elif name in factories:
            found.append(_made(factories[name], context))
        else:
            raise _problem(_unknown(name, [*known, *factories]))
    return tuple(found)


def unknown_provider(wanted: Iterable[str], package: ModuleType | None = None) -> str:
    """What is wrong with names of providers: one that is neither ours nor a plugin's; "" when nothing is."""
    foreign = [name for name in wanted if name not in OWN]
    names = [*OWN, *_factories(set(foreign), package)] if foreign else []
    unknown = next((name for name in foreign if name not in names), None)
    return "" if unknown is None else _unknown(unknown, names)


def _unknown(name: str, known: Iterable[str]) -> str:
    return (
        f'there is no TLS policy provider "{name}"{offered(name, known)} '
        "(a plugin that can't be imported isn't found: see what twistd writes at its start)"
    )


def _factories(wanted: Collection[str], package: ModuleType | None) -> dict[str, ITLSPolicyProviderFactory]:
    """The plugins of these names; what else is installed is no concern of ours."""
    try:
        return plugins_of(ITLSPolicyProviderFactory, wanted, package)
    except NotUnique as error:
        raise _problem(str(error)) from error


def _made(factory: ITLSPolicyProviderFactory, context: ProviderContext) -> ITLSPolicyProvider:
    try:
        provider: ITLSPolicyProvider = made_by(factory, context, ITLSPolicyProvider)
    except UnfitProduct as error:
        raise _problem(f"what the plugin {place_of(factory)} makes is no TLS policy provider: {error}") from error
    except CannotMake as error:
        raise _problem(f"the plugin {place_of(factory)} can't make its provider: {error}") from error.error
    if provider.name != factory.name:
        raise _problem(
            f"the plugin {factory.name!r} ({place_of(factory)}) makes a provider of another name, {provider.name!r}"
        )
    return provider


def _problem(text: str) -> ConfigurationError:
    return ConfigurationError((f"[delivery] providers: {text}",))
