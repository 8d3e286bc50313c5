"""The header that a load balancer puts before a client's octets (PROXY protocol, versions 1 and 2). Pure.

It is believed from listed addresses only: whoever may send it may call himself anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import attrs

from seg.mail.hosts import IPAddress

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # of version 2
_LONGEST_V1 = 107  # octets, CRLF included
_LONGEST_V2 = 4096  # octets behind the first 16: addresses, and more that is passed over
_FIXED_V2 = 16
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESSES = {_TCP4: (12, 4), _TCP6: (36, 16)}  # family: octets of the block, octets of an address


class ProxyHeaderError(ValueError):
    """What came is no such header: close the connection."""


@attrs.frozen
class ProxiedClient:
    """Who the client is, and what came behind the header."""

    client: IPAddress | None  # None: the load balancer speaks for itself (a check of its own)
    rest: bytes


class ProxyHeader:
    """Takes octets until the header is whole."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> ProxiedClient | None:
        """The next octets; None as long as more have to come.

        :raises ProxyHeaderError: they aren't a header.
        """
        self._buffer += data
        if self._buffer.startswith(_SIGNATURE):
            return self._version_2()
        if _SIGNATURE.startswith(self._buffer):
            return None
        return self._version_1()

    def _version_1(self) -> ProxiedClient | None:
        if not self._buffer.startswith(b"PROXY "[: len(self._buffer)]):
            raise ProxyHeaderError("no PROXY header")
        end = self._buffer.find(b"\r\n", 0, _LONGEST_V1)
        if end < 0:
            if len(self._buffer) >= _LONGEST_V1:
                raise ProxyHeaderError("PROXY header without an end")
            return None
        words = self._buffer[:end].decode("ascii", "replace").split(" ")
        rest = self._buffer[end + 2 :]
        if words[1:2] == ["UNKNOWN"]:
            return ProxiedClient(None, rest)
        kinds: dict[str, Callable[[str], IPAddress]] = {"TCP4": IPv4Address, "TCP6": IPv6Address}
        try:
            _, kind, source, destination, source_port, destination_port = words
            client = kinds[kind](source)
            kinds[kind](destination)
            if not (_is_port(source_port) and _is_port(destination_port)):
                raise ValueError("not a port")
        except (ValueError, KeyError):
            raise ProxyHeaderError("malformed PROXY header") from None
        return ProxiedClient(client, rest)

    def _version_2(self) -> ProxiedClient | None:
        if len(self._buffer) < _FIXED_V2:
            return None
        version, command = divmod(self._buffer[12], 16)
        family, length = self._buffer[13], int.from_bytes(self._buffer[14:16])
        if version != 2 or command > 1 or length > _LONGEST_V2:
            raise ProxyHeaderError("malformed PROXY header")
        if len(self._buffer) < _FIXED_V2 + length:
            return None
        block, rest = self._buffer[_FIXED_V2 : _FIXED_V2 + length], self._buffer[_FIXED_V2 + length :]
        if command == 0 or family not in _ADDRESSES:
            return ProxiedClient(None, rest)
        least, size = _ADDRESSES[family]
        if len(block) < least:
            raise ProxyHeaderError("PROXY header without an address")
        return ProxiedClient(ip_address(block[:size]), rest)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535
