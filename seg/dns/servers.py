"""The resolvers that an operator named: their addresses, whether AD is believed, the order of asking."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterable

import attrs
import dns.resolver

from seg.common.endpoint import endpoint
from seg.common.errors import ConfigurationError
from seg.mail.hosts import IPAddress

PORT = 53
LOOPBACK = "127.0.0.1"
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO})
DEMOTION = 60.0  # seconds for which a silent resolver is asked after the others


@attrs.define(eq=False)
class UpstreamServer:
    """One resolver, and what experience says of it."""

    address: IPAddress
    port: int = PORT
    trusted: bool = False  # in the operator's list of networks whose AD bit is believed
    validating: bool = True  # what the last probe found; until then the operator's word counts
    probed: bool = False  # whether it has ever answered a probe
    demoted_until: float = 0.0  # on the reactor's clock
    answers: int = 0  # replies that could be used
    failures: int = 0  # questions without one
    last_answer: float = 0.0  # on the reactor's clock; 0: none yet
    last_failure: str = ""
    last_failure_at: float = 0.0

    def answered(self, now: float) -> None:
        """It gave a reply that could be used."""
        self.answers += 1
        self.last_answer = now

    def failed(self, what: str, now: float) -> None:
        """It gave none."""
        self.failures += 1
        self.last_failure, self.last_failure_at = what, now

    def __str__(self) -> str:
        return str(self.address) if self.port == PORT else endpoint(self.address, self.port)

    @property
    def believed(self) -> bool:
        """Whether AD in its answers makes them secure (RFC 7672 §1.3: a trusted, validating resolver)."""
        return self.trusted and self.validating


def parse_server(text: str) -> tuple[IPAddress, int]:
    """Address and port of ``address``, ``address:port``, ``[v6]`` or ``[v6]:port``.

    :raises ValueError: it is none of these.
    """
    host, colon, port = text.strip(), "", ""
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        before, colon, port = rest.partition(":")
        if not bracket or before:
            raise ValueError(f"{text!r} isn't an address")
    elif host.count(":") == 1:
        host, colon, port = host.partition(":")
    address = ipaddress.ip_address(host)
    if not colon:
        return address, PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{port!r} isn't a port")
    return address, int(port)


def system_resolvers(path: str) -> tuple[str, ...]:
    """The name servers of a file like resolv.conf(5); without a usable one that of this host, as in libc.

    :raises ConfigurationError: the system can't read any file now: that says nothing of what stands in this one.
    """
    parser = dns.resolver.Resolver(configure=False)
    try:
        parser.read_resolv_conf(path)
    except (dns.resolver.NoResolverConfiguration, OSError, ValueError) as error:
        for cause in (error, error.__context__):
            if isinstance(cause, OSError) and cause.errno in _OURS:
                raise ConfigurationError((f"{path} can't be read: {cause.strerror}",)) from error
        return (LOOPBACK,)
    return tuple(server for server in parser.nameservers if isinstance(server, str)) or (LOOPBACK,)


def make_servers(resolvers: Iterable[str], trusted: Iterable[str]) -> tuple[UpstreamServer, ...]:
    """The servers of a configuration, in its order.

    :raises ConfigurationError: an entry of either list can't be read.
    """
    problems: list[str] = []
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for text in trusted:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError as e:
            problems.append(f"dns.trusted: {text!r} isn't a network: {e}")
    servers: list[UpstreamServer] = []
    for text in resolvers:
        try:
            address, port = parse_server(text)
        except ValueError as e:
            problems.append(f"dns.resolvers: {text!r} isn't address or address:port: {e}")
        else:
            servers.append(UpstreamServer(address, port, any(address in network for network in networks)))
    if problems:
        raise ConfigurationError(tuple(problems))
    return tuple(servers)


def in_turn(servers: tuple[UpstreamServer, ...], now: float) -> list[UpstreamServer]:
    """The order for one question: the operator's, but resolvers that were silent lately come last.

    Where believed ones and others stand side by side the believed ones come first, silent or not: a silent resolver must
    not be a way to get answers without security.
    """
    return sorted(servers, key=lambda server: (not server.believed, server.demoted_until > now))
