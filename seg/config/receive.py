"""``[[listener]]``, ``[receive]`` and what else says who may hand mail in, and how."""

# `key` makes a field, as attrs.field does; the linter can't know it.
# ruff: noqa: RUF009

from __future__ import annotations

import enum

import attrs

from seg.config.key import key


class ListenerTLS(enum.StrEnum):
    """TLS of a listener."""

    OFF = "off"
    STARTTLS = "starttls"  # offered
    REQUIRED = "required"  # no message before STARTTLS
    IMPLICIT = "implicit"  # from the first octet (RFC 8314 §3.3)


class ListenerAuth(enum.StrEnum):
    """AUTH of a listener (RFC 4954)."""

    OFF = "off"
    OFFERED = "offered"  # within TLS; whoever authenticates may relay
    REQUIRED = "required"  # no message without it (submission, RFC 6409)


class BareNewlines(enum.StrEnum):
    """What to do with a CR or LF that stands alone in a message (SMTP smuggling)."""

    REFUSE = "refuse"
    NORMALISE = "normalise"


class Verifying(enum.StrEnum):
    """What VRFY is answered with (RFC 5321 §3.5.3, §7.3)."""

    NONCOMMITTAL = "noncommittal"  # 252 whatever is asked
    REFUSE = "refuse"  # 502
    ANSWER = "answer"  # as RCPT would be


class LenientAddresses(enum.StrEnum):
    """From whom addresses are taken as old programs write them."""

    RELAY = "relay"  # who may relay
    ALL = "all"
    NONE = "none"


@attrs.frozen
class ListenerSettings:
    """One address to receive mail at."""

    name: str = key("relay", "Name in the log")
    address: str = key("127.0.0.1", "IP address to listen at; 0.0.0.0 or :: for all")
    port: int = key(2525, "TCP port; 0: any free one", low=0, high=65535)
    banner: str = key("", "Words behind the name in the 220 greeting")
    tls: ListenerTLS = key(
        ListenerTLS.OFF,
        "off, starttls (offered), required (no message before STARTTLS), implicit (from the first octet, as on port 465); "
        "all but off need a certificate",
    )
    auth: ListenerAuth = key(
        ListenerAuth.OFF,
        "off, offered (within TLS; who authenticates may relay), required (no message without it: submission)",
    )
    certificate: str = key("", "PEM file: certificate, then the intermediates; read again when it changes")
    bounce_profile: str = key(
        "",
        "Bounce profile, a [bounce_profile] of destinations.toml, for mail taken here; a destination's own goes before it",
    )
    client_certificates: str = key(
        "",
        "PEM file: certificates of clients that may relay, and of authorities that issued such certificates directly; empty: none are asked for",
    )
    client_names: tuple[str, ...] = key(
        (),
        'Names of which a certificate that such an authority issued must have one ("gw.partner.test", "*.partner.test"); empty: none is '
        "needed, which is for authorities of your own only",
    )
    more_certificates: tuple[str, ...] = key(
        (), "PEM files with certificate, intermediates and key each, chosen by the name that a client asks for (SNI)"
    )
    # The last one: it hides the function.
    key: str = key("", "PEM file with the private key; empty: in the certificate file")


@attrs.frozen
class Receive:
    """Limits and rules for mail handed in."""

    relay_networks: tuple[str, ...] = key(
        ("127.0.0.0/8", "::1/128"), "Networks that may relay through this gateway; all others get 550 5.7.1"
    )
    proxy_networks: tuple[str, ...] = key(
        (), "Load balancers: their connections begin with a PROXY header (version 1 or 2) that names the client"
    )
    xclient_networks: tuple[str, ...] = key((), "Mail proxies: they may say by XCLIENT whose connection they pass on")
    vrfy: Verifying = key(
        Verifying.NONCOMMITTAL,
        "VRFY: noncommittal (252 whatever is asked), refuse (502), answer (as RCPT would be answered)",
    )
    lenient_addresses: LenientAddresses = key(
        LenientAddresses.RELAY,
        "From whom addresses in MAIL and RCPT are taken as old programs and devices write them (without angle brackets, with spaces "
        "within them, with a dot at the end, without a domain, which is then gateway.hostname): relay (who may relay), all, none",
    )
    max_message_size: int = key(26214400, "Largest message", unit="octets", low=1024)
    max_recipients: int = key(1000, "Most recipients in one message", low=1)
    max_connections: int = key(
        1000,
        "Most connections at a time; a tenth is kept for each listener, and for clients that may relay by their address",
        low=1,
    )
    max_connections_per_address: int = key(
        100,
        "Most connections at a time from one client: an IPv4 address or an IPv6 /64; never more than half of all",
        low=1,
    )
    command_timeout: float = key(
        300.0,
        "Longest wait for the whole of the next command (RFC 5321 §4.5.3.2), however slowly its octets come, and for a TLS handshake",
        unit="seconds",
        low=1,
    )
    data_timeout: float = key(180.0, "Longest pause while a message arrives", unit="seconds", low=1)
    min_data_rate: int = key(
        500, "Octets in a second that a message has to come at, on average behind its first data_timeout; 0: any", low=0
    )
    connection_timeout: float = key(3600.0, "Longest life of a connection", unit="seconds", low=1)
    max_unknown_commands: int = key(10, "Unknown or malformed commands before the connection is closed", low=1)
    max_refusals: int = key(
        100,
        "Refused commands, recipients and messages since the last accepted message, before the connection is closed",
        low=1,
    )
    max_idle_commands: int = key(
        100,
        "Commands to no purpose (NOOP, RSET, VRFY, EHLO again, dropped transactions) since the last accepted recipient or message, "
        "before the connection is closed",
        low=1,
    )
    max_received_hops: int = key(
        50, "Received fields above which a message is taken for looping (RFC 5321 §6.3)", low=1
    )
    bare_newlines: BareNewlines = key(
        BareNewlines.REFUSE, "A CR or LF alone in a message: refuse it (550 5.6.0), or normalise it to CRLF"
    )


class Access(enum.StrEnum):
    """What a sender group may do."""

    RELAY = "relay"  # send to anybody
    ACCEPT = "accept"  # send to the recipients of [recipients]
    REJECT = "reject"  # hear 554 for a greeting
    REFUSE = "tcprefuse"  # nothing: the connection is cut


@attrs.frozen
class SenderGroup:
    """Clients that have something in common, and what they may do. A limit of 0 is that of [receive], or none."""

    name: str = key("RELAYLIST", "Name in the log")
    match: tuple[str, ...] = key(
        (), 'Networks, host names by verified reverse lookup ("mx.example.com", ".example.com"), or "ALL"'
    )
    access: Access = key(
        Access.REJECT,
        "relay (to anybody), accept (for [recipients]), reject (554 at the greeting), tcprefuse (cut off)",
    )
    reject_text: str = key("Access denied", "Words of the 554")
    tls_required: bool = key(False, "No message before STARTTLS")
    auth_required: bool = key(False, "No message before AUTH")
    max_connections: int = key(0, "Most connections at a time from one address", low=0)
    max_messages: int = key(0, "Most messages on one connection", low=0)
    max_recipients: int = key(0, "Most recipients in one message", low=0)
    recipients_per_hour: int = key(0, "Most recipients from one address in an hour", low=0)
    max_message_size: int = key(0, "Largest message", unit="octets", low=0)


@attrs.frozen
class Recipients:
    """Recipients of clients that may not relay (sender groups with access "accept")."""

    accept: tuple[str, ...] = key((), 'Accepted: "user@example.com", "user@", "example.com", ".example.com", "ALL"')
    reject: tuple[str, ...] = key((), "Rejected, in the same forms; the most particular entry of both lists decides")
    reject_text: str = key("No such recipient here", "Words of the 550 for those rejected")


@attrs.frozen
class Auth:
    """Who may authenticate, and how; listeners say whether."""

    users: str = key("", 'Users file, written by "seg user"; empty: users beside this file')
    checker: str = key("", "A checker of a third party (a Twisted plugin) instead of the users file")
    mechanisms: tuple[str, ...] = key(
        (),
        "SASL mechanisms: PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS; empty: all that the checker can do, but SCRAM-SHA-256-PLUS, "
        "which some clients choose without being able to do its channel binding",
    )
    own_address_only: bool = key(False, "A user whose name is an address may use that address as sender, and no other")
    senders: dict[str, tuple[str, ...]] = key(
        attrs.Factory(dict),
        'As whom each user may send: { user = [addresses, "@domain" for all of a domain, "ALL" for anybody] }; with any entry, '
        "a user without one may use his own address only",
    )
    check_header_from: bool = key(
        False,
        "The addresses in From (and in Sender, Resent-From and Resent-Sender) of a user's message must be his by them too",
    )
