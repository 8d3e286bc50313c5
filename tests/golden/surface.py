"""What the gateway promises to those outside, as plain texts that can be compared. ``python -m tests.golden.surface`` writes them.

Names of classes, modules and functions don't stand in them: the code may be rebuilt, what is promised stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import click

from seg.admin import openapi
from seg.admin.conditions import Conditions
from seg.admin.counters import EventCounters
from seg.admin.metrics import Metrics
from seg.cli.main import main
from seg.config.destinations import Profile
from seg.config.reference import toml_value
from seg.config.settings_file import section_types
from seg.config.values import specs
from seg.maillog.jsonlines import JSONLines, event_name
from seg.maillog.lines import AREAS
from seg.maillog.log_table import clean
from seg.maillog.timestamps import TimestampCache
from tests.admin.test_metrics import gauges
from tests.doubles import tell
from tests.zones import utc

FOLDER = Path(__file__).parent
_WHEN = 1727364219.25  # POSIX seconds of the examples
COMMAND = "python -m tests.golden.surface"


def log_lines() -> Iterator[str]:
    """Every event by its JSON name: its lines in the mail log, and its JSON."""
    with utc():
        for _, entries in AREAS:
            for entry in entries:
                yield event_name(entry.event)
                for level, text in entry.render(entry.example):
                    yield f"  {level.value}: {clean(text)}"
                yield "  " + JSONLines(TimestampCache()).line(entry.example, _WHEN, entry.level.word)


def metrics() -> Iterator[str]:
    """Every metric with its type and labels, after one event of each class."""
    counters = EventCounters(lambda: 0.0)
    page = Metrics(counters, lambda: 0.0)
    page.watch(gauges(), Conditions(lambda: 0.0).counts)
    for _, entries in AREAS:
        for entry in entries:
            tell(counters, entry.example)
            tell(page, entry.example)
    for family in page.registry.collect():
        if family.name.startswith("process_"):
            continue  # prometheus_client's own
        yield f"{family.name} {family.type}"
        for sample in family.samples:
            labels = {**sample.labels, **({"version": "..."} if "version" in sample.labels else {})}
            if labels and "le" not in labels and not sample.name.endswith("_created"):
                yield f"  {sample.name} " + " ".join(f"{name}={value}" for name, value in sorted(labels.items()))


def configuration() -> Iterator[str]:
    """Every key with its default, unit and values."""
    sections: dict[str, Any] = {**section_types(), "destination": Profile}
    for name, kind in sections.items():
        section = get_args(kind)[0] if get_origin(kind) is tuple else kind
        for spec in specs(section).values():
            values = " ".join(spec.choices) or spec.range
            secret = "secret" if spec.secret else ""
            words = (f"{name}.{spec.name} = {toml_value(spec.default)}", spec.unit, values, secret)
            yield "; ".join(word for word in words if word)


def commands() -> Iterator[str]:
    """Every verb with its arguments and options."""
    context = click.Context(main, info_name="seg")
    yield from _command("seg", main, context)


def _command(words: str, command: click.Command, context: click.Context) -> Iterator[str]:
    parameters = [_parameter(parameter, context) for parameter in command.params]
    yield " ".join([words, *sorted(parameters)])
    if isinstance(command, click.Group):
        for name in sorted(command.list_commands(context)):
            inner = command.get_command(context, name)
            assert inner is not None  # it stands in the list
            yield from _command(f"{words} {name}", inner, click.Context(inner, info_name=name, parent=context))


def _parameter(parameter: click.Parameter, context: click.Context) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.make_metavar(context)
    names = "|".join([*parameter.opts, *parameter.secondary_opts])
    flag = isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count)
    return f"[{names}]" if flag else f"[{names} {parameter.make_metavar(context)}]"


def api() -> Iterator[str]:
    """Every operation of the admin API: parameters, body, and the fields of each answer."""
    document = json.loads(openapi.text())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            head = f"{method.upper()} {path}"
            yield head
            for parameter in operation.get("parameters", ()):
                parameter = _resolved(document, parameter)
                needed = " required" if parameter.get("required") else ""
                yield f"  {parameter['in']} {parameter['name']}: {_type(parameter['schema'])}{needed}"
            if "requestBody" in operation:
                for kind, content in operation["requestBody"]["content"].items():
                    yield from (f"  body {kind} {line}" for line in _fields(document, content.get("schema", {}), ""))
            for status, answer in sorted(operation["responses"].items()):
                contents: Mapping[str, Any] = _resolved(document, answer).get("content", {})
                for kind, content in contents.items():
                    yield from (
                        f"  {status} {kind} {line}".rstrip()
                        for line in _fields(document, content.get("schema", {}), "")
                    )


def _resolved(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        place: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        node = place
    return node


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any], path: str, depth: int = 0) -> Iterator[str]:
    """The leaves of a schema: ``.messages[].mid integer``."""
    schema = _resolved(document, schema)
    for word in ("oneOf", "anyOf", "allOf"):
        for each in sorted(schema.get(word, ()), key=_is_null):
            yield from _fields(document, each, path, depth + 1)
    properties: Mapping[str, Any] = schema.get("properties", {})
    needed = set(schema.get("required", ()))
    for name, inner in properties.items():
        yield from _fields(document, inner, f"{path}.{name}{'' if name in needed else '?'}", depth + 1)
    if "items" in schema and depth < 12:
        yield from _fields(document, schema["items"], f"{path}[]", depth + 1)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) and extra and depth < 12:
        yield from _fields(document, extra, f"{path}.*", depth + 1)
    inner_kinds = {"properties", "items", "oneOf", "anyOf", "allOf"} & set(schema)
    if not inner_kinds and not isinstance(extra, dict):
        kinds = schema.get("type", "any")
        for kind in sorted(kinds if isinstance(kinds, list) else [kinds], key=lambda kind: kind == "null"):
            yield f"{path or '.'} {_type({**schema, 'type': kind})}"


def _is_null(schema: Mapping[str, Any]) -> bool:
    """Whether it only says that there may be nothing: that comes last, however it is written down."""
    return schema.get("type") == "null"


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "any")
    kind = "|".join(kind) if isinstance(kind, list) else kind
    values = schema.get("enum")
    return f"{kind} ({' '.join(map(str, values))})" if values else str(kind)


SURFACES: Mapping[str, Callable[[], Iterator[str]]] = {
    "log_lines": log_lines,
    "metrics": metrics,
    "configuration": configuration,
    "commands": commands,
    "api": api,
}


def kept(name: str) -> Path:
    """The file of one surface."""
    return FOLDER / f"{name}.txt"


def text(name: str) -> str:
    """One surface as it is."""
    return re.sub(r"[ \t]+\n", "\n", "\n".join(SURFACES[name]()) + "\n")


if __name__ == "__main__":
    for surface in SURFACES:
        kept(surface).write_text(text(surface), "utf-8")
