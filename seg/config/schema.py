"""Every key of ``etc/seg.toml``: type, default, unit and meaning in one place.

The sections are frozen classes; a room takes the section that concerns it. The reference in
``docs/configuration.md`` and the comments in ``etc/seg.toml`` are made from the texts here, and
`seg.config.load` checks files against it.
"""

# `key` makes a field, as attrs.field does; the linter can't know it.
# ruff: noqa: RUF009

from __future__ import annotations

import enum

import attrs

from seg.config.key import key
from seg.config.log import Log, LogSubscription
from seg.config.receive import (
    Auth,
    ListenerSettings,
    Receive,
    Recipients,
    SenderGroup,
)
from seg.config.submission import Submission


@attrs.frozen
class GatewaySettings:
    """The gateway as a whole."""

    hostname: str = key("", "Name in greeting, EHLO, Received and Message-ID; empty: the machine's own full name")
    postmaster: str = key(
        "", "Sender shown in reports, and where mail to <postmaster> goes; empty: postmaster@hostname"
    )
    local_users: str = key(
        "",
        "Where mail for users of this machine goes (its hostname and local_domains), as far as the file aliases beside this one says "
        "nothing else; empty: only those of aliases have mail, and postmaster, abuse and root, whose mail goes to the postmaster",
    )
    local_domains: tuple[str, ...] = key(
        (), "Domains besides the hostname whose mail is for users of this machine; one with an SMTP route isn't"
    )
    var: str = key(
        "var",
        "Folder of spool, log, run and cache; relative: beside a folder etc with this file, else beside this file",
    )


class WhenProxyFails(enum.StrEnum):
    """What follows where the proxy doesn't bring us to a policy host."""

    DEFER = "defer"  # the message waits
    CONTINUE = "continue"  # as for a policy host that can't be reached


class WhenAway(enum.StrEnum):
    """What to do with a message whose filter gives no answer."""

    ACCEPT = "accept"
    TEMPFAIL = "tempfail"
    REJECT = "reject"


@attrs.frozen
class Filter:
    """A filter that judges messages before they are accepted."""

    name: str = key("filter", "Name in the log")
    kind: str = key("milter", "milter, or the name of a plugin")
    address: str = key(
        "",
        "Where it listens: inet:127.0.0.1:11332, inet6:[::1]:11332, unix:/run/milter.sock (a plugin may have its own form)",
    )
    when_away: WhenAway = key(
        WhenAway.TEMPFAIL,
        "When it can't be reached, fails, or takes too long: accept the message unfiltered, tempfail (451), reject (550)",
    )
    listeners: tuple[str, ...] = key((), "Names of the listeners whose mail it judges; empty: all")
    max_message_size: int = key(0, "Larger messages are passed over; 0: none", unit="octets", low=0)
    connect_timeout: float = key(10.0, "Wait for its connection", unit="seconds", low=0.1)
    command_timeout: float = key(
        30.0, "Wait for its reply to anything but the end of a message", unit="seconds", low=0.1
    )
    content_timeout: float = key(
        300.0,
        "Wait for its answer to a whole message (a milter that reports progress gets more)",
        unit="seconds",
        low=0.1,
    )


class DoubleBounces(enum.StrEnum):
    """What becomes of a report, or another message without a reverse-path, that can't be delivered."""

    DROP = "drop"  # told in the log
    POSTMASTER = "postmaster"  # gets a report on it


@attrs.frozen
class QueueSettings:
    """The retry schedule."""

    first_retry: float = key(60.0, "Wait before the first retry; it doubles each time", unit="seconds", low=0.1)
    max_retry: float = key(3600.0, "Longest wait between two tries", unit="seconds", low=0.1)
    jitter: float = key(0.1, "Share of each wait that is random, so that retries spread", low=0.0, high=0.5)
    max_retries: int = key(100, "Tries after the first before the message is returned", low=0)
    lifetime: float = key(259200.0, "Time in the queue before the message is returned", unit="seconds", low=1)
    delay_warning: float = key(
        14400.0, "Age at which the sender is told once that a message still waits; 0: never", unit="seconds", low=0
    )
    failure_reports: bool = key(True, "Tell the sender of a failure for good")
    report_languages: tuple[str, ...] = key(
        ("en",), "Languages of reports, one below the other: de, en, es, fr, ja, or a file of your own in reports/"
    )
    report_note: str = key("", "A last paragraph for the failed reports' text, such as whom to call")
    double_bounces: DoubleBounces = key(
        DoubleBounces.DROP, "A report that can't be delivered: drop it (the log tells), or tell the postmaster"
    )
    memory: int = key(65536, "Messages up to this size stay in memory for the first try", unit="octets", low=0)
    max_report_size: int = key(
        10240,
        "Most of a failed message that its report quotes; all else in a report is at most 256 KiB",
        unit="octets",
        low=0,
    )


class UntrustedFallback(enum.StrEnum):
    """What becomes of DANE while the trusted resolvers are away and another one answers in their place."""

    DEFER = "defer"
    INSECURE = "insecure"


@attrs.frozen
class DNS:
    """Resolvers."""

    resolvers: tuple[str, ...] = key((), "Resolvers as address or address:port; empty: those of /etc/resolv.conf")
    trusted: tuple[str, ...] = key(
        ("127.0.0.0/8", "::1/128"), "Networks of resolvers whose AD bit is believed (needed for DANE)"
    )
    untrusted_fallback: UntrustedFallback = key(
        UntrustedFallback.DEFER,
        "While the trusted resolvers are away and another one answers without validation: defer mail to domains known to have DANE, or "
        "insecure (send it without DANE)",
    )
    probe: str = key(
        ".",
        "Signed name whose DNSKEY is asked for at the start and hourly, to see that the resolver validates",
    )
    timeout: float = key(5.0, "Wait for one answer of one resolver", unit="seconds", low=0.1)
    lifetime: float = key(15.0, "Longest time for one question, all tries included", unit="seconds", low=0.1)
    cache_entries: int = key(100000, "Most answers kept; one of more than 2 KiB counts as several", low=100)
    max_ttl: float = key(86400.0, "Longest time an answer is kept", unit="seconds", low=1)
    max_negative_ttl: float = key(3600.0, "Longest time a denial is kept", unit="seconds", low=1)


class TLSMinimum(enum.StrEnum):
    """The lowest version of TLS; RFC 8996 rules out all before 1.2."""

    TLS1_2 = "TLSv1.2"
    TLS1_3 = "TLSv1.3"


@attrs.frozen
class TLS:
    """Roots trusted for other hosts, protocols and ciphers of each direction."""

    ca_file: str = key("", "PEM file of trusted roots; empty: the system's list")
    extra_ca_file: str = key("", "PEM file of roots trusted besides")
    inbound_min_version: TLSMinimum = key(TLSMinimum.TLS1_2, "Lowest version at the listeners: TLSv1.2, TLSv1.3")
    inbound_ciphers: str = key(
        "",
        "Ciphers of TLS 1.2 at the listeners, as an OpenSSL cipher list; empty: OpenSSL's choice (TLS 1.3 has its own)",
    )
    outbound_min_version: TLSMinimum = key(
        TLSMinimum.TLS1_2,
        "Lowest version towards other hosts, policy hosts too: TLSv1.2, TLSv1.3; a host that can't is one whose TLS fails",
    )
    outbound_ciphers: str = key("", "Ciphers of TLS 1.2 towards other hosts, as an OpenSSL cipher list")
    inbound_groups: str = key(
        "", "Key exchange groups at the listeners, as X25519:P-256:X25519MLKEM768; empty: OpenSSL's choice"
    )
    outbound_groups: str = key(
        "X25519:P-256:P-384:P-521:X25519MLKEM768",
        "Key exchange groups towards other hosts, the first one with its share; a post-quantum one first makes a client hello of two segments, "
        "which some hosts mishandle. A host whose handshake fails is tried once more with the classical ones",
    )


@attrs.frozen
class MTASTS:
    """MTA-STS (RFC 8461); per destination it is switched in destinations.toml."""

    port: int = key(443, "HTTPS port of policy hosts", low=1, high=65535)
    proxy: str = key("", "HTTP proxy for fetching policies: http://[user:password@]host:port; empty: none", secret=True)
    when_proxy_fails: WhenProxyFails = key(
        WhenProxyFails.DEFER,
        "When the proxy doesn't bring us to a policy host: defer (the message waits), or continue (as without a policy, if none is cached)",
    )
    fetch_timeout: float = key(60.0, "Longest time for one fetch, all in all", unit="seconds", low=1)
    max_fetches: int = key(20, "Most fetches at a time", low=1)
    retry_interval: float = key(300.0, "Shortest time between two fetches for a domain", unit="seconds", low=1)
    refresh_interval: float = key(86400.0, "Cached policies are checked at least this often", unit="seconds", low=60)


@attrs.frozen
class Delivery:
    """Sending mail on."""

    port: int = key(25, "Port of MX hosts", low=1, high=65535)
    providers: tuple[str, ...] = key(
        ("dane", "mta-sts", "static"), "TLS policy providers, in the order in which they are asked"
    )
    max_connections: int = key(
        500,
        "Most connections to other hosts at a time; up to half as many come on top that wait for the reply to a whole message for 5 s and more",
        low=1,
    )
    connect_timeout: float = key(30.0, "Wait for a TCP connection", unit="seconds", low=0.1)
    greeting_timeout: float = key(300.0, "Wait for the 220 greeting (RFC 5321 §4.5.3.2.1)", unit="seconds", low=0.1)
    command_timeout: float = key(300.0, "Wait for the reply to a command (§4.5.3.2.2)", unit="seconds", low=0.1)
    data_timeout: float = key(600.0, "Wait for the reply to the final dot (§4.5.3.2.6)", unit="seconds", low=0.1)
    tls_timeout: float = key(60.0, "Longest TLS handshake", unit="seconds", low=0.1)
    attempt_timeout: float = key(
        3600.0,
        "Longest attempt: look-ups, policies, all hosts and recipients of one message at one destination; then it is deferred",
        unit="seconds",
        low=1,
    )
    idle_timeout: float = key(5.0, "How long an unused connection is kept for the next message", unit="seconds", low=0)
    host_connections: int = key(
        20,
        "Most connections at a time to one address, of an MX host or of a route's (a smart host), where they carry the mail of several "
        'domains (limit_per = "address" of a destination takes its place; a domain alone has its own limits, and by MX a fifth of '
        "max_connections); 0: no limit",
        low=0,
    )
    chunking: bool = key(True, "Send by BDAT where the server offers CHUNKING (RFC 3030); false: always by DATA")
    convert_8bit: bool = key(
        True,
        "Convert content beyond ASCII to quoted-printable or base64 for servers without 8BITMIME (RFC 6152 §3); never what is signed "
        "(DKIM, multipart/signed). What isn't converted is returned there (5.6.3)",
    )
    source_address: str = key("", "Local address to send from; empty: the system chooses")
    source_address6: str = key("", "Local IPv6 address to send from; empty: the system chooses")
    max_hosts: int = key(5, "Most hosts tried in one attempt", low=1)
    max_addresses: int = key(10, "Most addresses tried in one attempt", low=1)
    allow_loopback: bool = key(
        False,
        "Deliver wherever the DNS says (for tests; else hosts at loopback and own addresses are taken for a loop, and "
        "link-local, multicast and other addresses of no mail host aren't tried)",
    )
    allow_private: bool = key(
        True,
        "Deliver to hosts of domains by MX at private addresses (10.0.0.0/8, fc00::/7, ...); SMTP routes always may",
    )


@attrs.frozen
class Control:
    """The control socket of the seg command, and the same admin API over TLS for other machines."""

    socket: str = key("", "Path of the socket; empty: run/seg.sock below var")
    mode: str = key("0600", "Its permissions, octal")
    group: str = key("", 'Group that the socket belongs to (then with mode = "0660"); empty: the gateway\'s own')
    address: str = key(
        "", "IP address to serve the admin API at, over TLS, to whoever has a token (seg token); empty: not at all"
    )
    port: int = key(9726, "TCP port of the admin API; 0: any free one", low=0, high=65535)
    tokens: str = key("", 'Tokens file, written by "seg token"; empty: tokens beside this file')
    certificate: str = key(
        "", "PEM file of the admin API: certificate, then the intermediates; read again when it changes"
    )
    # The last one: it hides the function.
    key: str = key("", "PEM file with the private key; empty: in the certificate file")


@attrs.frozen
class MetricsPage:
    """Metrics for Prometheus, besides those on the control socket."""

    address: str = key(
        "", "IP address to serve http://address:port/metrics at, to whoever can reach it; empty: not at all"
    )
    port: int = key(9725, "TCP port", low=0, high=65535)


@attrs.frozen
class Settings:
    """All of ``etc/seg.toml``."""

    gateway: GatewaySettings = attrs.field(factory=GatewaySettings)
    listener: tuple[ListenerSettings, ...] = attrs.field(factory=lambda: (ListenerSettings(),))
    receive: Receive = attrs.field(factory=Receive)
    sender_group: tuple[SenderGroup, ...] = ()
    recipients: Recipients = attrs.field(factory=Recipients)
    auth: Auth = attrs.field(factory=Auth)
    submission: Submission = attrs.field(factory=Submission)
    filter: tuple[Filter, ...] = ()
    queue: QueueSettings = attrs.field(factory=QueueSettings)
    dns: DNS = attrs.field(factory=DNS)
    tls: TLS = attrs.field(factory=TLS)
    mta_sts: MTASTS = attrs.field(factory=MTASTS)
    delivery: Delivery = attrs.field(factory=Delivery)
    log: Log = attrs.field(factory=Log)
    log_subscription: tuple[LogSubscription, ...] = ()
    control: Control = attrs.field(factory=Control)
    metrics: MetricsPage = attrs.field(factory=MetricsPage)
