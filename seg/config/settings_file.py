"""``etc/seg.toml``: from a parsed document to `Settings`, with every fault collected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_origin, get_type_hints

import attrs

from seg.config.checks import SECTION_CHECKS, binding_faults, form_fault, group_faults, listener_faults, name_faults
from seg.config.filters import filter_faults
from seg.config.log import LogSubscription
from seg.config.problems import Problems, meant, place
from seg.config.receive import ListenerSettings, SenderGroup
from seg.config.schema import Filter, Settings
from seg.config.source import Document, KeyPath
from seg.config.subscriptions import subscription_faults
from seg.config.values import ValueFault, convert, specs


def settings_from(document: Document) -> Settings:
    """The settings in a document; what it leaves out has its default.

    :raises ConfigurationError: with one line for each fault.
    """
    problems = Problems(document)
    sections = section_types()
    values: dict[str, Any] = {}
    for name, raw in document.data.items():
        if name not in sections:
            problems.add((name,), _unknown_section(name, raw, sections), None if isinstance(raw, dict) else name)
        elif get_origin(sections[name]) is tuple:
            values[name] = _ARRAYS[name](raw, problems)
        else:
            values[name] = _section(name, sections[name], raw, problems)
    _check_filters(values, problems)
    problems.check()
    return Settings(**values)


def section_types() -> dict[str, Any]:
    """The sections of the file with their classes, in order; an array of tables is ``tuple[..., ...]``."""
    hints = get_type_hints(Settings)
    return {field.name: hints[field.name] for field in attrs.fields(Settings)}


def _unknown_section(name: str, raw: Any, sections: dict[str, Any]) -> str:
    if isinstance(raw, dict):
        return f"unknown section{meant(name, sections)}"
    owner = _owner(name)
    hint = f"; {name} belongs into [{owner}]" if owner else meant(name, sections)
    return f"stands outside any section{hint}"


def _owner(key: str) -> str:
    """The section that has a key of this name, "" when none or several have."""
    owners = [n for n, kind in section_types().items() if isinstance(kind, type) and key in specs(kind)]
    return owners[0] if len(owners) == 1 else ""


def _section(name: str, kind: type, raw: Any, problems: Problems) -> Any:
    """One table as its section class."""
    if not isinstance(raw, dict):
        hint = "; write [" + name + "] once" if isinstance(raw, list) else ""
        problems.add((name,), f"wants a table{hint}")
        return kind()
    section = kind(**table_values((name,), kind, raw, problems))
    if name in SECTION_CHECKS and not problems.below((name,)):
        for key, fault in SECTION_CHECKS[name](section):
            problems.add((name, key), fault)
    return section


def table_values(where: KeyPath, kind: type, raw: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """The good values of a table by key; faults go to `problems`."""
    known = specs(kind)
    values: dict[str, Any] = {}
    for key, item in raw.items():
        if key not in known:
            problems.add((*where, key), _unknown_key(key, known))
            continue
        try:
            value = convert(known[key], item)
        except ValueFault as fault:
            problems.add((*where, key, *fault.below), str(fault), label=place((*where, key)))
            continue
        if fault_text := form_fault(str(where[0]), key, value):
            problems.add((*where, key), fault_text)
            continue
        values[key] = value
    return values


def _unknown_key(key: str, known: dict[str, Any]) -> str:
    near = meant(key, known)
    owner = "" if near else _owner(key)
    return f"unknown key{near or (f'; it belongs into [{owner}]' if owner else '')}"


def _groups(raw: Any, problems: Problems) -> tuple[SenderGroup, ...]:
    """The ``[[sender_group]]`` tables."""
    if not isinstance(raw, list) or not all(isinstance(table, dict) for table in raw):
        problems.add(("sender_group",), "wants an array of tables; write [[sender_group]] for each")
        return ()
    groups: list[SenderGroup] = []
    for number, table in enumerate(raw):
        where = ("sender_group", number)
        group = SenderGroup(**table_values(where, SenderGroup, table, problems))
        if not problems.below(where):
            for key, fault in group_faults(group, {other.name for other in groups}):
                problems.add((*where, key), fault)
        groups.append(group)
    return tuple(groups)


def _listeners(raw: Any, problems: Problems) -> tuple[ListenerSettings, ...]:
    """The ``[[listener]]`` tables."""
    if not isinstance(raw, list) or not all(isinstance(table, dict) for table in raw):
        problems.add(("listener",), "wants an array of tables; write [[listener]] for each")
        return ()
    listeners = []
    for number, table in enumerate(raw):
        where = ("listener", number)
        listener = ListenerSettings(**table_values(where, ListenerSettings, table, problems))
        if not problems.below(where):
            for key, fault in listener_faults(listener):
                problems.add((*where, key), fault)
        listeners.append(listener)
    if not problems.below(("listener",)):
        for number, fault in name_faults(tuple(listeners)):
            problems.add(("listener", number, "name"), fault)
        for number, fault in binding_faults(tuple(listeners)):
            problems.add(("listener", number, "port"), fault)
    return tuple(listeners)


def _filters(raw: Any, problems: Problems) -> tuple[Filter, ...]:
    """The ``[[filter]]`` tables, not checked against each other yet."""
    if not isinstance(raw, list) or not all(isinstance(table, dict) for table in raw):
        problems.add(("filter",), "wants an array of tables; write [[filter]] for each")
        return ()
    return tuple(
        Filter(**table_values(("filter", number), Filter, table, problems)) for number, table in enumerate(raw)
    )


def _check_filters(values: dict[str, Any], problems: Problems) -> None:
    """Filters against each other, and against the listeners, which may stand behind them in the file."""
    names: set[str] = set()
    listeners = {listener.name for listener in values.get("listener", (ListenerSettings(),))}
    for number, filter_ in enumerate(values.get("filter", ())):
        where = ("filter", number)
        if not problems.below(where):
            for key, fault in filter_faults(filter_, names, listeners):
                problems.add((*where, key), fault)
        names.add(filter_.name)


def _subscriptions(raw: Any, problems: Problems) -> tuple[LogSubscription, ...]:
    """The ``[[log_subscription]]`` tables."""
    if not isinstance(raw, list) or not all(isinstance(table, dict) for table in raw):
        problems.add(("log_subscription",), "wants an array of tables; write [[log_subscription]] for each")
        return ()
    made: list[LogSubscription] = []
    for number, table in enumerate(raw):
        where = ("log_subscription", number)
        one = LogSubscription(**table_values(where, LogSubscription, table, problems))
        if not problems.below(where):
            for key, fault in subscription_faults(one, made):
                problems.add((*where, key), fault)
        made.append(one)
    return tuple(made)


_ARRAYS: dict[str, Callable[[Any, Problems], tuple[Any, ...]]] = {
    "listener": _listeners,
    "sender_group": _groups,
    "filter": _filters,
    "log_subscription": _subscriptions,
}
