"""Keys of the configuration as options of a command: made from the schema, so that every key has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_origin

import click

from seg.config.values import KeySpec, ValueFault, convert, specs


class KeyValue(click.ParamType):  # type: ignore[type-arg] # generic in newer versions only
    """A value for a key, as typed: checked by the schema, and given on as the file would have it."""

    name = "value"

    def __init__(self, spec: KeySpec) -> None:
        self.spec = spec

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What may be typed."""
        spec = self.spec
        if spec.choices:
            return "[" + "|".join(spec.choices) + "]"
        if spec.kind is bool:
            return "[on|off]"
        if spec.kind in (int, float):
            return "SECONDS" if spec.unit == "seconds" else "OCTETS" if spec.unit == "octets" else "N"
        return {tuple: "LIST", dict: "NAME=LIST;..."}.get(get_origin(spec.kind), "TEXT")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value as the file has it.

        A failure of it is a usage error with the range and the nearest right values.
        """
        raw = typed(self.spec, str(value))
        try:
            convert(self.spec, raw)
        except ValueFault as fault:
            self.fail(str(fault), param, ctx)
        return raw


def typed(spec: KeySpec, text: str) -> Any:
    """What somebody typed as the value that the file would have: ``25 MiB`` and ``15m`` stay texts."""
    bare = text.strip()
    if get_origin(spec.kind) is tuple:
        return [part for part in bare.replace(",", " ").split() if part]
    if get_origin(spec.kind) is dict:
        return _lists(bare)
    if spec.kind is bool:
        return _BOOLEANS.get(bare.lower(), bare)
    numbered = bool(spec.choices) and bare.isdigit()
    if spec.kind in (int, float) or numbered:
        for kind in (int, float):
            try:
                return kind(bare)
            except ValueError:
                continue
    return bare


def _lists(text: str) -> Any:
    """``alice=a@x.test, @y.test; bob=@z.test`` as a table of arrays; what isn't that stays a text."""
    made = {}
    for part in filter(str.strip, text.split(";")):
        name, equals, items = part.partition("=")
        if not equals or not name.strip():
            return text
        made[name.strip()] = [item for item in items.replace(",", " ").split() if item]
    return made


_BOOLEANS = {
    **dict.fromkeys(("on", "yes", "true", "y", "1"), True),
    **dict.fromkeys(("off", "no", "false", "n", "0"), False),
}


def fault_of(spec: KeySpec, text: str) -> str:
    """What is wrong with an answer, "" when nothing is."""
    try:
        convert(spec, typed(spec, text))
    except ValueFault as fault:
        return str(fault)
    return ""


def shown(spec: KeySpec, value: Any) -> str:
    """A value as somebody would type it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return "; ".join(f"{name}={', '.join(map(str, items))}" for name, items in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if hasattr(value, "name") and spec.choices:
        from seg.config.values import word

        return word(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _added_up(context: click.Context, option: click.Parameter, values: tuple[Any, ...]) -> Any:
    """The values of an option that was given several times as one; None when it wasn't given."""
    if not values:
        return None
    if isinstance(values[0], dict):
        made: dict[str, list[str]] = {}
        for table in values:
            for name, items in table.items():
                made.setdefault(name, []).extend(items)
        return made
    return list(dict.fromkeys(item for items in values for item in items))


def options(section: type, without: Iterable[str] = ()) -> Callable[[Any], Any]:
    """An option for each key of a section: ``--max-recipients N``."""
    left_out = frozenset(without)

    def decorate(command: Any) -> Any:
        for name, spec in reversed(specs(section).items()):
            if name in left_out:
                continue
            allowed = f" ({spec.range})" if spec.range else ""
            option = "json-twin" if name == "json" else name.replace("_", "-")  # --json is the command's own
            several = get_origin(spec.kind) in (tuple, dict)
            command = click.option(
                f"--{option}",
                name,
                type=KeyValue(spec),
                default=None,
                multiple=several,
                callback=_added_up if several else None,
                help=f"{spec.doc}{allowed}." + (" May be repeated." if several else ""),
            )(command)
        return command

    return decorate
