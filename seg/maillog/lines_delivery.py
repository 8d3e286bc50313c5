"""Lines of delivery: connections to other hosts, TLS, and what was handed over."""

from __future__ import annotations

from seg.events.delivery import (
    DeliveryClosed,
    DeliveryConnected,
    DeliveryConnectFailed,
    DeliveryInClear,
    DeliveryStarted,
    DeliveryTLSDeferred,
    DeliveryTLSFailed,
    DeliveryTLSRequired,
    DeliveryTLSStarted,
    DialogueLine,
    RecipientsDelivered,
    RecipientsDiscarded,
)
from seg.maillog.lines_queue import rid_list
from seg.maillog.log_table import Level, LogEntry, LogLine, entry, plain

DEBUG, INFO = Level.DEBUG, Level.INFO


def _connect_failed(event: DeliveryConnectFailed) -> tuple[LogLine, ...]:
    text = (
        f"Connection Error: DCID {event.dcid} domain: {event.domain} IP: {event.address} port: {event.port} "
        f"details: {event.details} interface: {event.local or 'auto'} reason: {event.reason} ({event.host})"
    )
    return ((INFO, text),)


def _tls_started(event: DeliveryTLSStarted) -> tuple[LogLine, ...]:
    text = f"DCID {event.dcid} TLS success protocol {event.protocol} cipher {event.cipher}"
    if event.names:
        text += f" subjectAltName:dNSName={event.names[0]}"
    if event.group:  # last: what reads the line as it was before finds all in its place
        text += f" group {event.group}"
    lines: tuple[LogLine, ...] = ((INFO, text),)
    if len(event.names) > 1:
        lines += ((DEBUG, f"DCID {event.dcid} TLS names presented: {', '.join(event.names)}"),)
    if event.resumed:
        lines += ((DEBUG, f"DCID {event.dcid} TLS session resumed"),)
    return lines


def _tls_deferred(event: DeliveryTLSDeferred) -> tuple[LogLine, ...]:
    line = (INFO, f"DCID {event.dcid} TLS deferring: verify error: {event.text}")
    if not event.details:
        return (line,)
    return (line, (INFO, f"DCID {event.dcid} TLS verify details: {'; '.join(event.details)}"))


def _started(event: DeliveryStarted) -> tuple[LogLine, ...]:
    return ((INFO, f"Delivery start DCID {event.dcid} MID {event.mid} to RID {rid_list(event.rids)}"),)


def _discarded(event: RecipientsDiscarded) -> tuple[LogLine, ...]:
    return ((INFO, f"MID {event.mid} to RID {list(event.rids)} discarded: SMTP route /dev/null for {event.domain}"),)


def _delivered(event: RecipientsDelivered) -> tuple[LogLine, ...]:
    rids = rid_list(event.rids)
    return (
        (INFO, f"Message done DCID {event.dcid} MID {event.mid} to RID {rids}"),
        (INFO, f"MID {event.mid} RID {rids} Response {event.reply!r}"),
    )


ENTRIES: tuple[LogEntry, ...] = (
    plain(
        INFO,
        "New SMTP DCID {dcid} interface {local} address {address} port {port}",
        DeliveryConnected(834833, "10.1.1.2", "10.1.1.3", 25),
        "A connection to another host is open.",
    ),
    entry(
        _connect_failed,
        DeliveryConnectFailed("domain.com", "mx1.domain.com", "10.1.1.3", 25, "[Errno 111] Connection refused"),
        "A connection couldn't be opened, or ended before its greeting; the next address or host is tried.",
        (
            INFO,
            "Connection Error: DCID {dcid} domain: {domain} IP: {address} port: {port} details: {details} "
            "interface: {local address, or auto} reason: {reason} ({host})",
        ),
    ),
    entry(
        _tls_started,
        DeliveryTLSStarted(
            834833, "TLSv1.3", "TLS_AES_256_GCM_SHA384", ("*.mail123.domain.com", "mail.domain.com"), True, "x25519"
        ),
        "The handshake is done; whether the peer is the right one is judged next. The first name "
        "that the certificate "
        "presents is shown at Info, all of them at Debug.",
        (
            INFO,
            "DCID {dcid} TLS success protocol {protocol} cipher {cipher} subjectAltName:dNSName={name} group {group}",
        ),
        (DEBUG, "DCID {dcid} TLS names presented: {names}"),
        (DEBUG, "DCID {dcid} TLS session resumed"),
    ),
    plain(
        INFO,
        "DCID {dcid} TLS failed: {text}",
        DeliveryTLSFailed(834833, "STARTTLS unexpected response: 454 TLS not available"),
        "STARTTLS or the handshake failed; the lines that follow say whether mail still goes.",
    ),
    entry(
        _tls_deferred,
        DeliveryTLSDeferred(
            831556,
            "peer cert does not match domain domain.com",
            (
                "names wanted: domain.com",
                "names presented: *.mail123.domain.com",
                "see option required-verify-hosted",
            ),
        ),
        "The peer's certificate isn't what the policy wants, so this host isn't used.",
        (INFO, "DCID {dcid} TLS deferring: verify error: {reason}"),
        (INFO, "DCID {dcid} TLS verify details: {every mismatch}"),
    ),
    plain(
        INFO,
        "DCID {dcid} TLS was required but could not be successfully negotiated",
        DeliveryTLSRequired(831556, "mx1.domain.com"),
        "Nothing is sent on this connection: the policy wants TLS.",
    ),
    plain(
        INFO,
        "DCID {dcid} TLS not used with {host}: {reason}; sending in clear text",
        DeliveryInClear(834833, "mx1.domain.com", "STARTTLS not offered"),
        "TLS was only preferred and didn't work.",
    ),
    plain(
        INFO,
        "DCID {dcid} debug {domain}: {who}: {text}",
        DialogueLine(834833, "domain.com", "S", "250 2.1.5 Ok"),
        "A line of an SMTP dialogue that an operator watches (seg debug). C is the gateway, S the server.",
    ),
    entry(
        _started,
        DeliveryStarted(834833, 5444, (0,)),
        "A message is being handed over.",
        (INFO, "Delivery start DCID {dcid} MID {mid} to RID {rids}"),
    ),
    entry(
        _delivered,
        RecipientsDelivered(834833, 5444, (0,), "2.0.0 Ok: queued as 4XyZ"),
        "The other host took responsibility for these recipients.",
        (INFO, "Message done DCID {dcid} MID {mid} to RID {rids}"),
        (INFO, "MID {mid} RID {rids} Response '{text of the last reply}'"),
    ),
    entry(
        _discarded,
        RecipientsDiscarded(5444, (0,), "example.com"),
        "The operator's route for the domain is /dev/null.",
        (INFO, "MID {mid} to RID {rids} discarded: SMTP route /dev/null for {domain}"),
    ),
    plain(INFO, "DCID {dcid} close", DeliveryClosed(834833), "The last line of every DCID."),
)
