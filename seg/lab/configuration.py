"""The files that a gateway in the lab is started with: ``seg.toml`` and ``destinations.toml``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import attrs

Section = Mapping[str, object]
Routes = Mapping[str, Sequence[object]]

# Waits that suit a world in which every answer comes at once, so that a failure shows within seconds.
LAB: dict[str, Section] = {
    "gateway": {"hostname": "gateway.lab.example"},
    "receive": {"command_timeout": 60.0},
    "queue": {"first_retry": 1.0, "max_retry": 10.0, "jitter": 0.0},
    "dns": {"timeout": 1.0, "lifetime": 3.0},
    "mta_sts": {"fetch_timeout": 5.0, "retry_interval": 1.0},
    "delivery": {
        "connect_timeout": 3.0,
        "greeting_timeout": 5.0,
        "command_timeout": 5.0,
        "data_timeout": 10.0,
        "tls_timeout": 5.0,
        "idle_timeout": 1.0,
        "allow_loopback": True,
    },
}


@attrs.frozen
class GatewayFiles:
    """The texts of both files, and the port at which the gateway will listen."""

    port: int
    seg_toml: str
    destinations_toml: str

    def write(self, folder: Path) -> Path:
        """Write both into a folder and return the path of ``seg.toml``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "destinations.toml").write_text(self.destinations_toml)
        path = folder / "seg.toml"
        path.write_text(self.seg_toml)
        return path


def gateway_files(
    port: int,
    world: Mapping[str, Section],
    settings: Mapping[str, Section],
    default: Section,
    profiles: Mapping[str, Section],
    routes: Routes,
) -> GatewayFiles:
    """Both files: `world` (where the lab's servers are) over `LAB`, and `settings` over both."""
    sections: dict[str, dict[str, object]] = {}
    for source in (LAB, world, settings):
        for name, keys in source.items():
            sections.setdefault(name, {}).update(keys)
    listener = {"name": "relay", "address": "127.0.0.1", "port": port}
    listener.update(sections.pop("listener", {}))
    text = "".join(_table(f"[{name}]", keys) for name, keys in sections.items()) + _table("[[listener]]", listener)
    return GatewayFiles(port, text, _destinations(default, profiles, routes))


def _destinations(default: Section, profiles: Mapping[str, Section], routes: Routes) -> str:
    text = _table("[default]", default) if default else ""
    for name, keys in profiles.items():
        text += _table(f"[destination.{json.dumps(name)}]", keys)
    for name, hosts in routes.items():
        text += _table(f"[route.{json.dumps(name)}]", {"hosts": hosts} if hosts else {"use_dns": True})
    return text


def _table(head: str, keys: Section) -> str:
    lines = [f"{name} = {_value(value)}" for name, value in keys.items()]
    return "\n".join([head, *lines]) + "\n\n"


def _value(value: object) -> str:
    """A TOML value. JSON strings, numbers and booleans are TOML ones too."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_value(part)}" for name, part in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(part) for part in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)
