"""Writes what is made from the schema: the shipped ``etc/*.toml`` and the reference in
``docs/configuration.md``.

``python -m seg.config.reference`` in the project's folder writes them; a test fails when they differ from the
schema.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs

from seg.config.destinations import Profile
from seg.config.marked import replace_block
from seg.config.schema import Settings
from seg.config.settings_file import section_types
from seg.config.units import show_duration, show_size
from seg.config.values import KeySpec, specs, word

COMMAND = "python -m seg.config.reference"

_SETTINGS_INTRO = """\
seg.toml: settings of the gateway (TOML 1.0)

Every key is shown with its default. To set one, take the "# " before it away and change the value; a key left
commented keeps its default. A wrong or unknown key stops the start with a line that names file, line and key.
Seconds may be written as durations ("90s", "15m", "1h30m", "3d"), octets as sizes ("10 kB", "25 MiB").
How mail is sent to which destination is in destinations.toml beside this file. More: docs/configuration.md
"""

_DESTINATIONS_INTRO = """\
destinations.toml: how mail is sent, destination by destination (TOML 1.0)

[default] holds for every destination. A [destination."..."] says what is different for one; what it leaves
out is inherited from [default]. A name is an exact domain ("example.com"), or ".example.com" for all that
ends in it; the exact name wins, then the longest suffix. Always quote the name: TOML takes a bare dot for a
nested table.
More: docs/configuration.md
"""

_SECTION_NOTES = {
    "listener": "One [[listener]] for each address to receive mail at. A port below 1024 needs a start\n"
    "as root; twistd --uid and --gid give the rights up once the ports are bound.",
    "receive": "Who may relay, and how much of everything a client may ask for.",
    "sender_group": "The host access table: one [[sender_group]] for each group of clients, the first entry that fits decides,\n"
    "whoever fits none may not send. Without any group relay_networks is the only one.",
    "recipients": "The recipient access table.",
    "filter": "One [[filter]] for each filter, in the order in which they judge a message: docs/filters.md.",
    "tls": "The system's list of roots is right for nearly everybody.",
    "log": "mail.log and mail.jsonl in var/log.",
    "log_subscription": "One [[log_subscription]] for each file or syslog besides: docs/logs.md.",
    "control": "The seg command talks to the gateway here; who may write to the socket may do everything.",
}

_EXAMPLES = """\
--- Examples: take the "# " away -----------------------------------------------------------------------------

A partner whose mail must be encrypted to a verified server (hosted: the certificate may name the MX host):
# [destination."partner.example"]
# tls = "required-verify-hosted"

A destination whose certificate or policy is broken, while its operator mends it: DANE and MTA-STS are logged and
not enforced until then (a date means its beginning, UTC), and are enforced again by themselves:
# [destination."broken.example"]
# exemption = { until = 2026-12-31, reason = "expired certificate, they know, ticket 4711" }

A destination to be watched before its policies are enforced:
# [destination."new.example"]
# dane = "monitor"
# mta_sts = "monitor"

A provider that slows down whoever sends too fast:
# [destination."gmail.com"]
# concurrent_connections = 20
# messages_per_connection = 5

--- Bounce profiles: how long mail is tried, and what its sender hears -------------------------------------------

A profile sets keys of [queue] in seg.toml otherwise (first_retry, max_retry, jitter, max_retries, lifetime,
delay_warning, failure_reports), for the destinations that name it:
# [bounce_profile."patient"]
# lifetime = "7d"
# max_retry = "4h"

# [destination."slow.example"]
# bounce_profile = "patient"

--- SMTP routes: next hops set by hand -----------------------------------------------------------------------

A route takes the place of the MX lookup; DANE and MTA-STS are then not applied, the tls option is. A host is
"name", "name:port", "[address]:port", or a table with host, port, preference (lowest first, equal ones in
turn) and use_mx (true: the name's MX is looked up, else only its addresses are). When all hosts are down mail
waits; it never goes back to the domain's MX.

All mail goes through a smarthost:
# [route."ALL"]
# hosts = ["relay.example.net:587"]

Mail for one domain goes to two hosts inside, the second one for when the first is down:
# [route."internal.example"]
# hosts = [{ host = "10.0.0.25" }, { host = "10.0.1.25", preference = 10 }]

... but this one goes by its MX, whatever the entries above say:
# [route."direct.example"]
# use_dns = true
"""


def settings_text() -> str:
    """The shipped ``etc/seg.toml``."""
    parts = [_commented(_SETTINGS_INTRO)]
    for name, kind in section_types().items():
        array = get_origin(kind) is tuple
        section: type = get_args(kind)[0] if array else kind
        title = (section.__doc__ or "").strip().rstrip(".")
        note = _SECTION_NOTES.get(name)
        head = _rule(title) + (_commented(note) if note else "")
        if array and not attrs.fields_dict(Settings)[name].default:  # none of them out of the box
            lines = f"[[{name}]]\n{_keys(section)}".splitlines()
            parts.append(head + "".join(f"#   {line.removeprefix('# ')}".rstrip() + "\n" for line in lines))
            continue
        parts.append(head + (f"[[{name}]]\n" if array else f"[{name}]\n") + _keys(section))
    return "\n".join(parts)


def destinations_text() -> str:
    """The shipped ``etc/destinations.toml``."""
    examples = "".join(
        line + "\n" if line.startswith("#") or not line else f"# {line}\n" for line in _EXAMPLES.splitlines()
    )
    head = _commented(_DESTINATIONS_INTRO) + "\n" + _rule("The default profile") + "[default]\n"
    return head + _keys(Profile) + "\n" + examples


def _rule(title: str) -> str:
    return f"# --- {title} ".ljust(112, "-") + "\n"


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.rstrip().splitlines())


def _keys(section: type) -> str:
    return "\n".join(_key(spec) for spec in specs(section).values())


def _key(spec: KeySpec) -> str:
    """One key as a comment: meaning, unit and range, then the default."""
    meaning = textwrap.wrap(_meaning(spec), 108)
    readable = _readable(spec)
    aside = f"  # {readable}" if readable else ""
    return "".join(f"# {line}\n" for line in meaning) + f"# {spec.name} = {toml_value(spec.default)}{aside}\n"


def _meaning(spec: KeySpec) -> str:
    limits = ", ".join(part for part in (_unit(spec), _range(spec)) if part)
    return f"{spec.doc} ({limits})" if limits else spec.doc


def _unit(spec: KeySpec) -> str:
    return f"in {spec.unit}" if spec.unit else ""


def _range(spec: KeySpec) -> str:
    return spec.range.removesuffix(f" {spec.unit}") if spec.unit else spec.range


def _readable(spec: KeySpec) -> str:
    """A large default in a larger unit, "" when that says nothing new."""
    if spec.unit == "seconds" and spec.default >= 60:
        return show_duration(spec.default)
    return show_size(spec.default) if spec.unit == "octets" else ""


def toml_value(value: Any) -> str:
    """A default as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if hasattr(value, "name") and hasattr(value, "value"):
        return json.dumps(word(value))
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 and value != int(value) else str(int(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value) if isinstance(value, str) else str(value)


def reference_text() -> str:
    """The reference of all keys in Markdown."""
    lines: list[str] = ["### seg.toml", ""]
    for name, kind in section_types().items():
        array = get_origin(kind) is tuple
        section: type = get_args(kind)[0] if array else kind
        lines += _table(f"[[{name}]]" if array else f"[{name}]", section)
    lines += ["### destinations.toml", ""]
    lines += _table('[default] and [destination."..."]', Profile)
    return "\n".join(lines)


def _table(heading: str, section: type) -> Iterator[str]:
    yield f"#### `{heading}`"
    yield ""
    yield (section.__doc__ or "").strip()
    yield ""
    yield "| key | default | unit | allowed | meaning |"
    yield "|---|---|---|---|---|"
    for spec in specs(section).values():
        readable = _readable(spec)
        default = f"`{toml_value(spec.default)}`" + (f" ({readable})" if readable else "")
        allowed = ", ".join(f"`{choice}`" for choice in spec.choices) or _range(spec)
        yield f"| `{spec.name}` | {default} | {spec.unit} | {allowed} | {_cell(spec.doc)} |"
    yield ""


def _cell(text: str) -> str:
    """Text that a Markdown table shows as it stands."""
    return text.replace("|", "\\|").replace("<", "&lt;")


@attrs.frozen
class GeneratedFile:
    """A file of the project and what should stand in it."""

    path: Path
    text: str


def generated(project: Path) -> list[GeneratedFile]:
    """Every file that is made from the schema, with the text that it should have."""
    page = project / "docs" / "configuration.md"
    return [
        GeneratedFile(project / "etc" / "seg.toml", settings_text()),
        GeneratedFile(project / "etc" / "destinations.toml", destinations_text()),
        GeneratedFile(page, replace_block(page.read_text("utf-8"), COMMAND, reference_text())),
    ]


if __name__ == "__main__":
    for file in generated(Path()):
        file.path.write_text(file.text, "utf-8")
