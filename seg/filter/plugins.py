"""The filters that the ``[[filter]]`` tables name: milters, and those of third parties, found as Twisted plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from seg.common.errors import ConfigurationError
from seg.common.plugins import CannotMake, NotUnique, UnfitProduct, made_by, place_of, plugins_of
from seg.config.problems import offered
from seg.config.schema import Filter
from seg.events.base import IEventSink
from seg.filter.chain import ConfiguredFilter
from seg.filter.interfaces import FilterContext, IMessageFilter, IMessageFilterFactory

MILTER = "milter"
LONGEST = 600.0  # seconds that a milter has for a message, however it divides them: then its client has gone (RFC 5321 §4.5.3.2.6)


def load_filters(
    tables: Iterable[Filter],
    milter: Callable[[FilterContext], IMessageFilter],
    hostname: str,
    sink: IEventSink,
    reactor: Any,
    package: ModuleType | None = None,
) -> tuple[ConfiguredFilter, ...]:
    """A filter for each table, in order. Plugins are looked for only when a table asks for one.

    :param milter: makes the filter of kind "milter".
    :param package: where plugins are; None is ``twisted.plugins``.
    :raises ConfigurationError: there is no filter of a kind, or it can't be made.
    """
    tables = tuple(tables)
    foreign = {table.kind for table in tables} - {MILTER}
    factories = _factories(foreign, package) if foreign else {}
    found = []
    for table in tables:
        context = FilterContext(table, hostname, sink, reactor)
        if table.kind == MILTER:
            found.append(ConfiguredFilter(table, milter(context), max(table.content_timeout, LONGEST)))
        elif table.kind in factories:
            found.append(ConfiguredFilter(table, _made(factories[table.kind], context), table.content_timeout))
        else:
            raise _problem(table, _unknown(table.kind, factories))
    return tuple(found)


def unknown_kind(kind: str, package: ModuleType | None = None) -> str:
    """What is wrong with the kind of a filter, when it is neither a milter nor a plugin; "" when nothing is."""
    if kind == MILTER:
        return ""
    factories = _factories({kind}, package)
    return "" if kind in factories else _unknown(kind, factories)


def _unknown(kind: str, plugins: Iterable[str]) -> str:
    known = [MILTER, *plugins]
    return (
        f'there is no filter of kind "{kind}"{offered(kind, known)} '
        "(a plugin that can't be imported isn't found: see what twistd writes at its start)"
    )


def for_listener(found: Iterable[ConfiguredFilter], listener: str) -> tuple[ConfiguredFilter, ...]:
    """Those that judge the mail of this listener."""
    return tuple(
        configured
        for configured in found
        if not configured.settings.listeners or listener in configured.settings.listeners
    )


def _factories(wanted: set[str], package: ModuleType | None) -> dict[str, IMessageFilterFactory]:
    """The plugins by name; two of a name that is wanted are one too many."""
    try:
        return plugins_of(IMessageFilterFactory, wanted, package)
    except NotUnique as error:
        raise ConfigurationError((f"[[filter]] kind: {error}",)) from error


def _made(factory: IMessageFilterFactory, context: FilterContext) -> IMessageFilter:
    table = context.settings
    try:
        made: IMessageFilter = made_by(factory, context, IMessageFilter)
    except UnfitProduct as error:
        raise _problem(table, f"what the plugin {place_of(factory)} makes is no filter: {error}") from error
    except CannotMake as error:
        raise _problem(table, f"the plugin {place_of(factory)} can't make its filter: {error}") from error.error
    return made


def _problem(table: Filter, text: str) -> ConfigurationError:
    return ConfigurationError((f'[[filter]] "{table.name}": {text}',))
