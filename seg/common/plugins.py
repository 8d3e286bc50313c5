"""Plugins of third parties, found as Twisted plugins by their names. What is wrong with one is told in the words of whoever asks for it."""

from __future__ import annotations

from collections.abc import Collection
from types import ModuleType
from typing import Any

from twisted.plugin import IPlugin, getPlugins
from zope.interface import Interface
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject


class PluginError(Exception):
    """A plugin can't be used; the text says why."""


class NotUnique(PluginError):
    """Two plugins have a name that is wanted; the text says which."""


class UnfitProduct(PluginError):
    """What a plugin makes lacks something, or is something else; the text says what."""


class CannotMake(PluginError):
    """A plugin failed; the text says how, `error` with what."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.error = error


def plugins_of(
    interface: type[Interface], wanted: Collection[str], package: ModuleType | None = None
) -> dict[str, Any]:
    """All plugins that provide an interface with a `name`, by that name. Reads files, and imports those.

    :param wanted: what isn't among these may have a name twice.
    :param package: where plugins are; None is ``twisted.plugins``.
    :raises NotUnique: two of a name that is wanted are one too many.
    """
    found: dict[str, Any] = {}
    for plugin in getPlugins(interface, package):  # loads no plugins of other kinds
        name = getattr(plugin, "name", None) if IPlugin.providedBy(plugin) else None
        if not isinstance(name, str) or not name:
            continue
        if name in found and name in wanted:
            raise NotUnique(f"the plugins {place_of(found[name])} and {place_of(plugin)} are both called {name!r}")
        found[name] = plugin
    return found


def made_by(plugin: Any, context: object, interface: type[Interface]) -> Any:
    """What a plugin makes.

    :raises UnfitProduct: it doesn't provide the interface.
    :raises CannotMake: it failed.
    """
    try:
        made = plugin.create(context)
        verifyObject(interface, made)
    except Invalid as error:
        raise UnfitProduct(str(error)) from error
    except Exception as error:
        raise CannotMake(error) from error
    return made


def place_of(plugin: object) -> str:
    """Where its class stands, for people."""
    return f"{type(plugin).__module__}.{type(plugin).__qualname__}"
