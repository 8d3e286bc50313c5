"""The hosts that mail is sent to, and how they were found."""

from __future__ import annotations

import enum
from ipaddress import IPv4Address, IPv6Address

import attrs

IPAddress = IPv4Address | IPv6Address


class SocketPath(str):
    """A next hop on this machine: the path of a unix socket."""

    __slots__ = ()


PeerAddress = IPAddress | SocketPath


@attrs.frozen
class TransportOptions:
    """How a next hop is spoken to, where a route says it: else SMTP, and TLS by STARTTLS."""

    lmtp: bool = False  # RFC 2033
    implicit_tls: bool = False  # TLS from the first octet (RFC 8314 §3.3)
    auth: str = ""  # name of the profile to authenticate by; "" = not at all

    def __str__(self) -> str:
        words = ["LMTP" if self.lmtp else "SMTP"]
        words += ["TLS from the first octet"] if self.implicit_tls else []
        words += [f"AUTH by {self.auth}"] if self.auth else []
        return ", ".join(words)


PLAIN_SMTP = TransportOptions()


@attrs.frozen
class MXHost:
    """One candidate host for a domain, with the facts of the DNS that led to it (`dns.routing` makes them)."""

    name: str  # host name as in the MX record (or the domain itself, or the route's host): A-labels, lower case
    preference: int
    addresses: tuple[PeerAddress, ...]  # in the order to be tried
    port: int = 25
    mx_secure: bool = False  # the MX answer that named it was authenticated (AD from a trusted resolver)
    address_secure: bool = False  # every address answer used was authenticated
    expanded: str = ""  # name after CNAME expansion; equal to `name` when there was no CNAME
    alias_secure: bool = False  # the CNAME answer(s) at `name` were authenticated (meaningful when expanded != name)
    manner: TransportOptions = PLAIN_SMTP
    substitute: bool = False  # an answer used came from a stand-in of the trusted resolvers: insecure facts don't tell that the domain is


class RouteKind(enum.Enum):
    """How the next hop was found."""

    MX = "mx"
    IMPLICIT_MX = "implicit mx"  # no MX record: the domain itself (RFC 5321 §5.1)
    ADDRESS_LITERAL = "address literal"
    SMTP_ROUTE = "smtp route"  # by the operator's table
    DISCARD = "discard"  # the operator's table says /dev/null


@attrs.frozen
class Route:
    """The next hops for one domain, in the order to be tried."""

    domain: str
    kind: RouteKind
    hosts: tuple[MXHost, ...]
    secure: bool = False  # the MX RRset (or its denial, for an implicit MX) was authenticated
    canonical: str = ""  # the domain after CNAME expansion; equal to `domain` without a CNAME
