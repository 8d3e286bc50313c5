"""Routes of ``etc/destinations.toml``, and the profiles to authenticate by at their hops."""

from __future__ import annotations

from typing import Any

from seg.config.destinations import AuthProfile, NextHop, SMTPRoute
from seg.config.problems import Problems, meant
from seg.config.settings_file import table_values
from seg.config.source import KeyPath
from seg.config.syntax import parse_host, parse_port, split_port
from seg.mail.hosts import TransportOptions

ROUTE_KEYS = ("hosts", "use_dns", "protocol", "tls", "auth")
_PROTOCOLS, _ROUTE_TLS = ("smtp", "lmtp"), ("starttls", "implicit")
_MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN")
DISCARD = "/dev/null"
_SOCKET = "unix:"
_LONGEST_SOCKET = 107  # octets (sun_path of unix(7))
HOP_KEYS = ("host", "port", "preference", "use_mx")


def quoted(name: str) -> str:
    """A name as a table header has it."""
    return '"' + name.replace('"', "") + '"'


def route_from(where: KeyPath, pattern: str, raw: dict[str, Any], problems: Problems) -> SMTPRoute:
    """One SMTP route: ``hosts = [...]``, or ``use_dns = true``."""
    for key in raw:
        if key not in ROUTE_KEYS:
            problems.add((*where, key), f"unknown key{meant(key, ROUTE_KEYS)}")
    use_dns, hosts = raw.get("use_dns", False), raw.get("hosts", [])
    if not isinstance(use_dns, bool):
        problems.add((*where, "use_dns"), "wants true or false")
    elif use_dns and any(key in raw for key in ROUTE_KEYS if key != "use_dns"):
        problems.add((*where, "use_dns"), "with use_dns = true a route has no other key: the domain goes by its MX")
    elif not use_dns and not hosts:
        problems.add(where, 'names no next hop; write hosts = ["relay.example.com:25"], or use_dns = true')
    if not isinstance(hosts, list):
        problems.add((*where, "hosts"), 'wants an array, such as ["relay.example.com:25"]')
        hosts = []
    if DISCARD in hosts:
        if len(hosts) > 1:
            problems.add((*where, "hosts"), f"{DISCARD} stands alone: everything is discarded")
        return SMTPRoute(pattern, discard=True)
    hops = [_hop((*where, "hosts", number), item, problems) for number, item in enumerate(hosts)]
    return SMTPRoute(pattern, tuple(hop for hop in hops if hop), use_dns is True, manner=_manner(where, raw, problems))


def _manner(where: KeyPath, raw: dict[str, Any], problems: Problems) -> TransportOptions:
    """How the hops of a route are spoken to."""
    chosen = {}
    for key, words in (("protocol", _PROTOCOLS), ("tls", _ROUTE_TLS)):
        word = chosen[key] = raw.get(key, words[0])
        if word not in words:
            problems.add((*where, key), f"wants one of {', '.join(words)}{meant(str(word), words)}")
    auth = raw.get("auth", "")
    if not isinstance(auth, str):
        problems.add((*where, "auth"), 'wants the name of an [auth_profile."..."]')
        auth = ""
    return TransportOptions(chosen["protocol"] == "lmtp", chosen["tls"] == "implicit", auth)


def auth_profile_from(where: KeyPath, name: str, raw: Any, problems: Problems) -> AuthProfile:
    """Who we are to a next hop."""
    if not isinstance(raw, dict):
        problems.add(where, f"wants a table of its own: [auth_profile.{quoted(name)}]")
        return AuthProfile(name)
    profile = AuthProfile(name, **table_values(where, AuthProfile, raw, problems))
    if not problems.below(where):
        if not profile.username:
            problems.add((*where, "username"), "is needed")
        if bool(profile.password) == bool(profile.password_file):
            problems.add(where, "wants a password, or a password_file, and not both")
        for mechanism in profile.mechanisms:
            if mechanism not in _MECHANISMS:
                known = ", ".join(_MECHANISMS)
                problems.add(
                    (*where, "mechanisms"), f'"{mechanism}" isn\'t one of {known}{meant(mechanism, _MECHANISMS)}'
                )
    return profile


def _hop(where: KeyPath, raw: Any, problems: Problems) -> NextHop | None:
    """One next hop, or None after a fault."""
    try:
        if isinstance(raw, str):
            return next_hop(raw)
        if isinstance(raw, dict):
            return _hop_table(raw)
        raise ValueError('wants "host", "host:port" or { host = "...", port = 25, preference = 0, use_mx = false }')
    except ValueError as error:
        problems.add(where, str(error))
        return None


def next_hop(text: str) -> NextHop:
    """A next hop in its short form: host, host:port, [address]:port, unix:/path.

    :raises ValueError: it is none of these.
    """
    if text.startswith(_SOCKET):
        return NextHop(_socket(text), 0)
    host, port = split_port(text)
    return NextHop(parse_host(host), parse_port(port) if port is not None else 25)


def _socket(text: str) -> str:
    """The path of a socket, with its prefix. Raises ValueError."""
    path = text.removeprefix(_SOCKET)
    if not path.startswith("/") or len(path.encode()) > _LONGEST_SOCKET:
        raise ValueError(
            f'"{text}" wants the whole path of a socket of at most {_LONGEST_SOCKET} octets: unix:/run/lmtp'
        )
    return text


def _hop_table(raw: dict[str, Any]) -> NextHop:
    """A next hop in its long form. Raises ValueError."""
    for key in raw:
        if key not in HOP_KEYS:
            raise ValueError(f"unknown key {key}{meant(key, HOP_KEYS)}")
    host, use_mx = raw.get("host"), raw.get("use_mx", False)
    if not isinstance(host, str) or not host:
        raise ValueError("lacks host, a host name or an IP address")
    if not isinstance(use_mx, bool):
        raise ValueError("use_mx wants true or false")
    if host.startswith(_SOCKET):
        return NextHop(_socket(host), 0, _whole(raw, "preference", 0, 0))
    hop = NextHop(parse_host(host), _whole(raw, "port", 25, 1), _whole(raw, "preference", 0, 0), use_mx)
    if use_mx and (":" in hop.host or hop.host.replace(".", "").isdigit()):
        raise ValueError(f"use_mx makes no sense for an IP address ({hop.host})")
    return hop


def _whole(raw: dict[str, Any], key: str, default: int, low: int) -> int:
    value = raw.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= 65535:
        raise ValueError(f"{key} wants a whole number from {low} to 65535")
    return value
