"""What ``seg setup`` would write: from answers to files. Pure, but for keys that are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from seg.admin.configuration.edits import Edit, File, apply_edits
from seg.common.endpoint import endpoint
from seg.config.ehlo_names import unfit
from seg.config.reference import destinations_text, settings_text
from seg.config.syntax import parse_address, parse_host, parse_hostname, parse_network, parse_port, split_port

SMART_HOST = "smarthost"  # name of its AUTH profile
SECRET, READABLE, OWN_GROUP = 0o600, 0o644, 0o640


@attrs.frozen
class SmartHost:
    """Where all mail goes instead of to the MX of its domain."""

    host: str
    port: int = 25
    user: str = ""  # "" = without AUTH
    password: str = attrs.field(default="", repr=False)


@attrs.frozen
class Answers:
    """What the operator wants."""

    hostname: str
    postmaster: str = ""
    local_users: str = ""  # who gets mail for users of the machine; "" = the postmaster gets root's
    var: str = "var"
    relay_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    address: str = "0.0.0.0"  # noqa: S104
    port: int = 25
    certificate: str = ""  # PEM file of the listeners; "" = no TLS
    key: str = ""  # PEM file with its key; "" = in the same file
    submission: int = 0  # port for users with a password; 0 = none
    smart_host: SmartHost | None = None


@attrs.frozen
class Planned:
    """One file to be written."""

    path: Path
    data: bytes = attrs.field(repr=False)
    mode: int


def hostname_fault(name: str) -> str:
    """What is wrong with a host name for EHLO and certificates, "" for nothing."""
    try:
        parse_hostname(name)
    except ValueError as error:
        return f"{error}: other servers want a full name, such as mx.example.com"
    why = unfit(name)
    return f'"{name}" {why}: other servers want a full name that the DNS has, such as mx.example.com' if why else ""


def network_fault(text: str) -> str:
    """What is wrong with a network, "" for nothing."""
    try:
        parse_network(text)
    except ValueError as error:
        return f"{text!r} is no network: {error}; write 192.0.2.0/24 or 2001:db8::/32"
    return ""


def host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """``address:port`` as both.

    :raises ValueError: it isn't that.
    """
    host, port = split_port(text)
    return host, default_port if port is None else parse_port(port)


def listen_fault(text: str) -> str:
    """What is wrong with an address to listen at, "" for nothing."""
    try:
        parse_address(host_and_port(text, 25)[0])
    except ValueError as error:
        return f"{text!r} is no address to listen at: {error}; write 0.0.0.0:25 or [::]:25"
    return ""


def smart_host_fault(text: str) -> str:
    """What is wrong with a smart host, "" for nothing."""
    try:
        parse_host(host_and_port(text, 25)[0])
    except ValueError as error:
        return f"{text!r} is no smart host: {error}; write smtp.example.com:587"
    return ""


def planned(folder: Path, answers: Answers) -> list[Planned]:
    """The two files of the configuration, and the smart host's password; secrets first."""
    files: list[Planned] = []
    smart = answers.smart_host
    if smart is not None and smart.user:
        files.append(Planned(_password_file(folder), smart.password.encode() + b"\n", SECRET))
    settings = apply_edits(settings_text(), _settings(answers))
    destinations = apply_edits(destinations_text(), _destinations(folder, smart))
    files.append(Planned(folder / "destinations.toml", destinations.encode(), OWN_GROUP))
    files.append(Planned(folder / "seg.toml", settings.encode(), READABLE))
    return files


def _password_file(folder: Path) -> Path:
    return folder / f"{SMART_HOST}.password"


def _settings(answers: Answers) -> list[Edit]:
    tls: dict[str, Any] = {"certificate": answers.certificate} if answers.certificate else {}
    if answers.certificate and answers.key:
        tls["key"] = answers.key
    relay = {"address": answers.address, "port": answers.port, **tls}
    if answers.certificate:
        relay["tls"] = "starttls"
    edits = [
        _set("gateway", hostname=answers.hostname, var=answers.var),
        _set("receive", relay_networks=list(answers.relay_networks)),
        _set("listener", "relay", **relay),
    ]
    if answers.postmaster:
        edits.append(_set("gateway", postmaster=answers.postmaster))
    if answers.local_users:
        edits.append(_set("gateway", local_users=answers.local_users))
    if answers.submission:
        wanted = {"address": answers.address, "port": answers.submission, **tls, "tls": "required", "auth": "required"}
        edits.append([Edit(File.SETTINGS, ("listener", "submission"), wanted)])
    return [edit for group in edits for edit in group]


def _set(*where: str, **values: Any) -> list[Edit]:
    return [Edit(File.SETTINGS, (*where, key), value) for key, value in values.items()]


def _destinations(folder: Path, smart: SmartHost | None) -> list[Edit]:
    if smart is None:
        return []
    route: dict[str, Any] = {"hosts": [endpoint(smart.host, smart.port)]}
    if smart.port == 465:  # RFC 8314 §3.3
        route["tls"] = "implicit"
    edits = []
    if smart.user:
        route["auth"] = SMART_HOST
        profile: Mapping[str, Any] = {"username": smart.user, "password_file": str(_password_file(folder))}
        edits.append(Edit(File.DESTINATIONS, ("auth_profile", SMART_HOST), profile))
        # No password goes to a server that nothing verifies.
        edits.append(Edit(File.DESTINATIONS, ("default", "tls"), "required-verify-hosted"))
    edits.append(Edit(File.DESTINATIONS, ("route", "ALL"), route))
    return edits
