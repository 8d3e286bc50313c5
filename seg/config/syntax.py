"""The forms of text values: addresses, networks, host names, ports, proxy URLs. Each raises `ValueError` with
a line for people."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from urllib.parse import urlsplit

from seg.config.problems import offered
from seg.mail.address import to_ascii

MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """An IP address."""
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f'"{text}" is not an IP address') from None


def is_address(text: str) -> bool:
    """Whether a text is an IP address, bare or as an address literal (RFC 5321 §4.1.3)."""
    bare = text.strip("[]")
    try:
        ip_address(bare[5:] if bare.lower().startswith("ipv6:") else bare)
    except ValueError:
        return False
    return True


def parse_network(text: str) -> None:
    """A network such as ``10.0.0.0/8``, or one address."""
    try:
        ip_network(text)
    except ValueError:
        try:
            whole = ip_interface(text).network
        except ValueError:
            raise ValueError(f'"{text}" is not a network such as 10.0.0.0/8 or 2001:db8::/32') from None
        raise ValueError(f'"{text}" has bits set behind the prefix; the network is {whole}') from None


def parse_port(text: str, low: int = 1) -> int:
    """A TCP or UDP port."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and low <= int(text) <= 65535):
        raise ValueError(f'"{text}" is not a port from {low} to 65535')
    return int(text)


def parse_endpoint(text: str, default_port: int = 53) -> tuple[str, int]:
    """Address and port of ``192.0.2.1``, ``192.0.2.1:5353``, ``2001:db8::1`` or ``[2001:db8::1]:5353``."""
    host, port = split_port(text)
    return str(parse_address(host)), parse_port(port) if port is not None else default_port


def split_port(text: str) -> tuple[str, str | None]:
    """Host and port text of ``host``, ``host:port``, ``[host]``, ``[host]:port``, or an IPv6 address without
    brackets."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f'"{text}" is not host, host:port or [host]:port')
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def check_name_pattern(text: str) -> None:
    """A host name, or ``*.`` and one.

    :raises ValueError: it is neither.
    """
    parse_hostname(text.removeprefix("*."))


def parse_hostname(text: str) -> str:
    """A host or domain name as A-labels in lower case."""
    if is_address(text):
        raise ValueError(f'"{text}" is an IP address, not a host name')
    name = to_ascii(text)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f'"{text}" is not a host name')
    if name.rpartition(".")[2].isdigit():
        raise ValueError(f'"{text}" is neither a host name nor an IP address')
    return name


def parse_host(text: str) -> str:
    """A host name (A-labels, lower case) or an IP address (shortest form)."""
    try:
        return str(ip_address(text))
    except ValueError:
        return parse_hostname(text)


def parse_pattern(text: str) -> str:
    """A destination as looked up: domain, ``.suffix``, or address literal such as ``[192.0.2.1]``.

    :raises ValueError: it is none of them; the message names the nearest that is.
    """
    try:
        return _parsed_pattern(text)
    except ValueError as error:
        raise ValueError(f"{error}{_nearest(text, _parsed_pattern)}") from None


def parse_domain(text: str) -> str:
    """As `parse_pattern`, for one domain: no ``.suffix``."""
    try:
        return _parsed_domain(text)
    except ValueError as error:
        raise ValueError(f"{error}{nearest_domain(text)}") from None


def _parsed_pattern(text: str) -> str:
    return "." + parse_hostname(text[1:]) if text.startswith(".") else _parsed_domain(text)


def _parsed_domain(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        literal = text[1:-1]
        parse_address(literal[5:] if literal.lower().startswith("ipv6:") else literal)
        return text.lower()
    return parse_hostname(text)


# What is put around names by mistake: addresses, URLs, ports, wildcards.
_AROUND = re.compile(
    r"(?:[a-z]+://|mailto:)?(?:[^@]*@)?(?P<name>[^@/:]*|\[[^\]]*\])(?::[0-9]*)?(?:/.*)?", re.IGNORECASE
)


def nearest_domain(text: str) -> str:
    """What was probably meant by a text that is no domain, as words to put behind an objection; "" where nothing is near."""
    return _nearest(text, _parsed_domain)


def _nearest(text: str, parse: Callable[[str], str]) -> str:
    match = _AROUND.fullmatch(text.strip().strip("<>\"'"))
    name = match["name"].strip() if match else ""
    for near in (name.removeprefix("*"), name.strip("*."), f"[{name}]", f"[IPv6:{text.strip('[]')}]"):
        try:
            return f"; did you mean {parse(near)}?"
        except ValueError:
            continue
    return ""


def check_ipv4(text: str) -> None:
    """An IPv4 address."""
    if not isinstance(parse_address(text), IPv4Address):
        raise ValueError(f'"{text}" is an IPv6 address; it belongs into source_address6')


def check_ipv6(text: str) -> None:
    """An IPv6 address."""
    if not isinstance(parse_address(text), IPv6Address):
        raise ValueError(f'"{text}" is an IPv4 address; it belongs into source_address')


def check_mailbox(text: str) -> None:
    """A mailbox such as ``postmaster@example.com``, without angle brackets."""
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or re.search(r"[\s<>,]", text):
        raise ValueError(f'"{text}" is not an address such as postmaster@example.com')


def check_mode(text: str) -> None:
    """Permissions in octal."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f'"{text}" is not an octal mode such as "0600"')


def check_mechanism(text: str) -> None:
    """A SASL mechanism that the gateway has."""
    if text not in MECHANISMS:
        raise ValueError(f'"{text}" is no mechanism{offered(text, MECHANISMS)}')


def check_ciphers(text: str) -> None:
    """An OpenSSL cipher list (openssl-ciphers(1)) of which at least one cipher of TLS 1.2 is known."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers(text)
    except (ssl.SSLError, ValueError):
        hint = "write an OpenSSL cipher list such as ECDHE+AESGCM:ECDHE+CHACHA20"
        raise ValueError(f'"{text}" has no cipher of TLS 1.2 that OpenSSL knows; {hint}') from None


_POST_QUANTUM = frozenset(
    {"x25519mlkem768", "secp256r1mlkem768", "secp384r1mlkem1024", "mlkem512", "mlkem768", "mlkem1024"}
)
_CLASSICAL = frozenset(
    {"x25519", "x448", "p-256", "p-384", "p-521", "secp256r1", "prime256v1", "secp384r1", "secp521r1"}
    | {"ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"}
)


def is_post_quantum(group: str) -> bool:
    """Whether a key exchange group is a post-quantum one, alone or together with a classical one."""
    return group.lower() in _POST_QUANTUM


def check_groups(text: str) -> None:
    """Key exchange groups by the names that OpenSSL has for them, with colons between (RFC 8446 §4.2.7)."""
    for name in text.split(":"):
        if name.lower() not in _POST_QUANTUM | _CLASSICAL:
            hint = "write names with colons between, such as X25519:P-256:P-384:X25519MLKEM768"
            raise ValueError(f'"{name}" is no key exchange group; {hint}')


def check_proxy(text: str) -> None:
    """An HTTP proxy, ``http://[user:password@]host:port``. No part of the value is told: it may hold a
    password."""
    wanted = "http://[user:password@]host:port"
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError(f"is not a proxy URL such as {wanted}; percent-encode special characters") from None
    if parts.scheme != "http":
        raise ValueError(f"must start with http:// ({wanted}); what is fetched through it is encrypted all the same")
    if not host or not port:
        raise ValueError(f"lacks its {'port' if host else 'host'}; write {wanted}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            f"has more behind the port than it can have; write {wanted}, percent-encode special characters"
        )
    try:
        parse_host(host)
    except ValueError:
        raise ValueError(f"has a host that is neither a name nor an address; write {wanted}") from None


def overlapping(one: str, other: str) -> bool:
    """Whether two listening addresses can't both be bound to one port."""
    first, second = ip_address(one), ip_address(other)
    if first.version != second.version:
        return False
    return first == second or first.is_unspecified or second.is_unspecified


def check_sender(text: str) -> None:
    """An entry of a sender group: a network, a host name, ``.name``, or ``ALL``.

    :raises ValueError: it is none of them.
    """
    if text.upper() == "ALL":
        return
    if any(character.isalpha() for character in text) and "/" not in text and ":" not in text:
        parse_pattern(text)
    else:
        parse_network(text)


def check_recipient_entry(text: str) -> None:
    """An entry of the recipient access table.

    :raises ValueError: it is none.
    """
    local, at, domain = text.rpartition("@")
    if at and not local:
        raise ValueError(f'"{text}" lacks what stands before the @')
    if at and not domain:
        return
    if at:
        parse_hostname(domain)
    elif text.upper() != "ALL":
        parse_pattern(text)


def check_sender_entry(text: str) -> None:
    """An address that a user may send as, ``@domain``, or ALL.

    :raises ValueError: it is none.
    """
    _, at, domain = text.rpartition("@")
    if at:
        parse_hostname(domain)
    elif text.upper() != "ALL":
        raise ValueError(f'"{text}" isn\'t an address, nor "@domain", nor "ALL"')


def check_words(text: str) -> None:
    """Words of a reply.

    :raises ValueError: they don't fit into a reply line.
    """
    if not text.isascii() or not text.isprintable() or len(text) > 200:
        raise ValueError("wants at most 200 printable ASCII characters")
