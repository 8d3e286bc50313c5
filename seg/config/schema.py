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
from seg.config.submission import Submission


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


class LogLevel(enum.StrEnum):
    """How much the mail log holds."""

    INFO = "info"
    DEBUG = "debug"


class SubscriptionKind(enum.StrEnum):
    """Where the lines of a log subscription go."""

    FILE = "file"
    SYSLOG = "syslog"


class SubscriptionLevel(enum.StrEnum):
    """The least weighty lines of a log subscription."""

    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


class LogForm(enum.StrEnum):
    """How a log subscription tells an event."""

    TEXT = "text"
    JSON = "json"


class Facility(enum.StrEnum):
    """A facility of syslog (RFC 5424 §6.2.1); a program of users' rights has no business with kern."""

    MAIL = "mail"
    USER = "user"
    DAEMON = "daemon"
    AUTH = "auth"
    SYSLOG = "syslog"
    LPR = "lpr"
    NEWS = "news"
    UUCP = "uucp"
    CRON = "cron"
    AUTHPRIV = "authpriv"
    FTP = "ftp"
    LOCAL0 = "local0"
    LOCAL1 = "local1"
    LOCAL2 = "local2"
    LOCAL3 = "local3"
    LOCAL4 = "local4"
    LOCAL5 = "local5"
    LOCAL6 = "local6"
    LOCAL7 = "local7"


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


class WhenProxyFails(enum.StrEnum):
    """What follows where the proxy doesn't bring us to a policy host."""

    DEFER = "defer"  # the message waits
    CONTINUE = "continue"  # as for a policy host that can't be reached


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
class Log:
    """Mail log."""

    level: LogLevel = key(LogLevel.INFO, "info, or debug (adds DNS questions, policy fetches, cache hits)")
    json: bool = key(True, "Write mail.jsonl beside mail.log")
    rotate_size: int = key(104857600, "A new file when the old one reaches this size", unit="octets", low=1024)
    keep: int = key(10, "Closed files kept", low=1)
    compress: bool = key(True, "Compress closed files (gzip); seg grep and findevent read them all the same")
    message_details: bool = key(False, "Log Message-ID and Subject")


@attrs.frozen
class LogSubscription:
    """One more reader of the mail log, with a level of its own: a file, or syslog."""

    name: str = key("", "Name, in the log and for seg tail, grep and findevent")
    kind: SubscriptionKind = key(SubscriptionKind.FILE, "file (in var/log), or syslog (at an address)")
    level: SubscriptionLevel = key(
        SubscriptionLevel.INFO,
        "warning (what an operator should mend), info, debug (adds DNS questions, policy fetches, cache hits)",
    )
    form: LogForm = key(LogForm.TEXT, "text (the lines of mail.log), or json (the objects of mail.jsonl)")
    events: tuple[str, ...] = key(
        (), "Kinds of events: gateway, receive, queue, delivery, policy, dns; empty: all, those of plugins too"
    )
    message_details: bool = key(False, "Log Message-ID and Subject")
    file: str = key("", "Name of the file in var/log; empty: name.log, or name.jsonl")
    rotate_size: int = key(104857600, "A new file when the old one reaches this size", unit="octets", low=1024)
    keep: int = key(10, "Closed files kept", low=1)
    compress: bool = key(True, "Compress closed files (gzip); seg grep and findevent read them all the same")
    address: str = key(
        "unix:/dev/log",
        "Where syslog listens: unix:/dev/log (this machine), udp:host:514 (RFC 5426), tcp:host:601 (RFC 6587)",
    )
    facility: Facility = key(
        Facility.MAIL,
        "Facility of syslog: mail, user, daemon, auth, syslog, authpriv, local0 to local7, and the others",
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
