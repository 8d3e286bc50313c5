"""Where somebody listens, as people read it: a unix socket has no port, and an IPv6 address stands in brackets (RFC 3986 §3.2.2)."""

from __future__ import annotations

UNIX = "unix:"


def endpoint(host: object, port: int | str | None) -> str:
    """``mx.example:25``, ``192.0.2.1:25``, ``[2001:db8::1]:25``, ``unix:/run/lmtp``.

    :param host: a name, an address, or the path of a unix socket, with or without its ``unix:``.
    :param port: None: the usual one, which isn't told.
    """
    text = str(host)
    if path := _socket(text):
        return path
    return (f"[{text}]" if ":" in text else text) + ("" if port is None else f":{port}")


def host_endpoint(name: str, address: object, port: int) -> str:
    """A host and which address of it: ``mx.example [192.0.2.1]:25``; ``unix:/run/lmtp``."""
    return _socket(str(address)) or f"{name} [{address}]:{port}"


def endpoint_in_words(address: object, port: int, between: str = " port ") -> str:
    """``192.0.2.1 port 25``; ``unix:/run/lmtp``."""
    return _socket(str(address)) or f"{address}{between}{port}"


def _socket(text: str) -> str:
    if text.startswith(UNIX):
        return text
    return UNIX + text if text.startswith("/") else ""
