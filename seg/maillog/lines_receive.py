"""Lines of injection: a client hands in a message."""

from __future__ import annotations

from seg.events.receive import (
    AuthFailed,
    AuthSucceeded,
    BadCommand,
    ClientCertificateShown,
    ConnectionAccepted,
    ConnectionAdmitted,
    ConnectionClosed,
    ConnectionLost,
    FilterAnswered,
    FilterAway,
    FilterChangedSender,
    FilterPassedOver,
    FilterRemovedRecipient,
    MessageAborted,
    MessageQueued,
    MessageReceived,
    MessageStarted,
    ReceiveFailed,
    ReceiveTimedOut,
    ReceiveTLSFailed,
    ReceiveTLSStarted,
    RecipientAccepted,
    RecipientRefused,
    RefusalsUntold,
    SenderRefused,
    UnknownCommand,
)
from seg.maillog.log_table import Level, LogEntry, LogLine, entry, plain

INFO = Level.INFO


def _accepted(event: ConnectionAccepted) -> tuple[LogLine, ...]:
    name = event.reverse_name or "unknown"
    verified = "yes" if event.verified else "no"
    text = (
        f"New SMTP ICID {event.icid} interface {event.listener} ({event.local}) address {event.address} "
        f"reverse dns host {name} verified {verified}"
    )
    return ((INFO, text),)


def _tls_started(event: ReceiveTLSStarted) -> tuple[LogLine, ...]:
    group = f" group {event.group}" if event.group else ""
    return ((INFO, f"ICID {event.icid} TLS success protocol {event.protocol} cipher {event.cipher}{group}"),)


def _admitted(event: ConnectionAdmitted) -> tuple[LogLine, ...]:
    group, match = event.group or "None", event.match or "None"
    return ((INFO, f"ICID {event.icid} {event.action} SG {group} match {match} SBRS not enabled"),)


def _started(event: MessageStarted) -> tuple[LogLine, ...]:
    return (
        (INFO, f"Start MID {event.mid} ICID {event.icid}"),
        (INFO, f"MID {event.mid} ICID {event.icid} From: <{event.reverse_path}>"),
    )


def _received(event: MessageReceived) -> tuple[LogLine, ...]:
    lines: tuple[LogLine, ...] = ()
    if event.message_id:
        lines += ((INFO, f"MID {event.mid} Message-ID '<{event.message_id.strip('<>')}>'"),)
    if event.subject:
        lines += ((INFO, f"MID {event.mid} Subject {event.subject!r}"),)
    return (*lines, (INFO, f"MID {event.mid} ready {event.size} bytes from <{event.reverse_path}>"))


def _filtered(event: FilterAnswered) -> tuple[LogLine, ...]:
    said = ", ".join((event.answer, *event.details))
    return ((INFO, f"MID {event.mid} filter {event.name}: {said}, {event.seconds:.3f} s"),)


def _away(event: FilterAway) -> tuple[LogLine, ...]:
    text = f"MID {event.mid} filter {event.name} is away, so {event.decision}: {event.cause} ({event.seconds:.3f} s)"
    return ((Level.WARNING, text),)


def _authenticated(event: AuthSucceeded | AuthFailed) -> tuple[LogLine, ...]:
    word = "succeeded" if isinstance(event, AuthSucceeded) else "failed"
    text = (
        f"SMTP Auth: (ICID {event.icid}) {word} for user: {event.user or 'unknown'} using AUTH mechanism: {event.mechanism} "
        f"with profile: {event.profile}"
    )
    return ((INFO, f"{text}: {event.reason}" if isinstance(event, AuthFailed) else text),)


def _certified(event: ClientCertificateShown) -> tuple[LogLine, ...]:
    what = "may relay" if event.known else "isn't listed"
    return ((INFO, f"ICID {event.icid} TLS client certificate of {event.holder}: {what}"),)


def _timed_out(event: ReceiveTimedOut) -> tuple[LogLine, ...]:
    what = "no messages injected within timeout period"
    if event.injected:
        what = f"{event.injected} messages injected, no command within timeout period"
    return ((INFO, f"ICID {event.icid} disconnected address {event.address}, {what}"),)


_SYNTAX_CODES = frozenset({500, 501, 504, 555})  # RFC 5321 §4.2.2, §4.1.1.11: the command or a parameter can't be read


def _bad_command(event: BadCommand) -> tuple[LogLine, ...]:
    what = "Bad syntax for command" if event.code in _SYNTAX_CODES else "Refused command"
    return ((INFO, f"ICID {event.icid} {what}: {event.command} ({event.text})"),)


ENTRIES: tuple[LogEntry, ...] = (
    entry(
        _accepted,
        ConnectionAccepted(1020089, "relay", "10.1.1.2", "10.1.1.9"),
        "A client connected.",
        (
            INFO,
            "New SMTP ICID {icid} interface {listener} ({local address}) address {client address} "
            "reverse dns host {name, or unknown} verified {yes or no}",
        ),
    ),
    entry(
        _admitted,
        ConnectionAdmitted(1020089, "RELAY", "RELAYLIST", "10.0.0.0/8"),
        "The host access table's word on the client: ACCEPT, RELAY, REJECT or TCPREFUSE.",
        (INFO, "ICID {icid} {action} SG {group, or None} match {rule, or None} SBRS not enabled"),
    ),
    entry(
        _tls_started,
        ReceiveTLSStarted(1020089, "TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519MLKEM768"),
        "The client's STARTTLS worked.",
        (INFO, "ICID {icid} TLS success protocol {protocol} cipher {cipher} group {group}"),
    ),
    plain(
        INFO,
        "ICID {icid} TLS failed: {text}",
        ReceiveTLSFailed(1020089, "tlsv1 alert unknown ca"),
        "The handshake with the client failed.",
    ),
    entry(
        _certified,
        ClientCertificateShown(1020089, "CN=app.example.net", True),
        "The client showed a certificate; who holds one that is listed may relay.",
        (INFO, "ICID {icid} TLS client certificate of {subject}: {may relay|isn't listed}"),
    ),
    entry(
        _authenticated,
        AuthSucceeded(1020089, "alice@example.net", "SCRAM-SHA-256", "users"),
        "A client authenticated; the profile is the users file, or the checker's name.",
        (
            INFO,
            "SMTP Auth: (ICID {icid}) succeeded for user: {user} using AUTH mechanism: {mechanism} with profile: {profile}",
        ),
    ),
    entry(
        _authenticated,
        AuthFailed(1020089, "alice@example.net", "PLAIN", "users", "no such user, or another password"),
        "A client didn't; it isn't told why.",
        (
            INFO,
            "SMTP Auth: (ICID {icid}) failed for user: {user} using AUTH mechanism: {mechanism} with profile: {profile}: {reason}",
        ),
    ),
    entry(
        _started,
        MessageStarted(5444, 1020089, "alice@example.net"),
        "MAIL was accepted: a message has its MID.",
        (INFO, "Start MID {mid} ICID {icid}"),
        (INFO, "MID {mid} ICID {icid} From: <{reverse-path}>"),
    ),
    plain(
        INFO,
        "MID {mid} ICID {icid} RID {rid} To: <{address}>",
        RecipientAccepted(5444, 1020089, 0, "bob@domain.com"),
        "RCPT was accepted.",
    ),
    plain(
        INFO,
        "MID {mid} ICID {icid} To: <{address}> Rejected by RAT ({reply})",
        RecipientRefused(5444, 1020089, "eve@example.org", "550 5.7.1 Relaying denied"),
        "RCPT was refused, and what the client was told. Such a recipient has no RID.",
    ),
    plain(
        INFO,
        "ICID {icid} From: <{address}> Rejected ({reply})",
        SenderRefused(1020089, "ceo@example.net", "553 5.7.1 Sender address is not one of the authenticated user"),
        "MAIL was refused by a rule, and what the client was told.",
    ),
    plain(
        INFO,
        "ICID {icid} and {count} more refused",
        RefusalsUntold(1020089, 80, 78, 0),
        "Of one connection at most 20 refusals have a line of their own; this line, before the last one, says how many more there were.",
    ),
    entry(
        _filtered,
        FilterAnswered(5444, "rspamd", "accept", ("2 header changes",), 0.031),
        "A filter judged the message: accept, redirect, hold, discard, reject or tempfail; what it changed, or what the client hears.",
        (INFO, "MID {mid} filter {name}: {answer, and what it changed or said}, {seconds} s"),
    ),
    plain(
        INFO,
        "MID {mid} filter {name}: passed over, {size} bytes are more than its max_message_size",
        FilterPassedOver(5444, "clamav", 26000000),
        "The message is too large for the filter.",
    ),
    entry(
        _away,
        FilterAway(5444, "rspamd", "inet:127.0.0.1:11332: can't connect: Connection refused", "tempfail", 0.002),
        "A filter can't be reached, failed, or took too long; its `when_away` decides.",
        (Level.WARNING, "MID {mid} filter {name} is away, so {accept, tempfail or reject}: {cause} ({seconds} s)"),
    ),
    plain(
        INFO,
        "MID {mid} From: <{reverse_path}> by filter {name}",
        FilterChangedSender(5444, "srs", "SRS0=x=y=example.net=alice@relay.example"),
        "A filter changed the reverse-path.",
    ),
    plain(
        INFO,
        "MID {mid} RID {rid} To: <{address}> removed by filter {name}",
        FilterRemovedRecipient(5444, "journal", 0, "bob@domain.com"),
        "A filter removed a recipient. One that it adds has a line as behind RCPT.",
    ),
    entry(
        _received,
        MessageReceived(5444, 1020089, "alice@example.net", 4711, "1@example.net", "Minutes"),
        "The content is complete and on the disk; the client gets its 250. Message-ID and Subject only with "
        "`message_details = true`.",
        (INFO, "MID {mid} Message-ID '<{id}>'"),
        (INFO, "MID {mid} Subject '{subject}'"),
        (INFO, "MID {mid} ready {octets} bytes from <{reverse-path}>"),
    ),
    plain(INFO, "MID {mid} queued for delivery", MessageQueued(5444), "The message is due for its first try."),
    plain(
        INFO,
        "Message aborted MID {mid} {text}",
        MessageAborted(5444, 1020089, "Receiving aborted by sender"),
        "The message never became complete; nothing of it is kept.",
    ),
    plain(
        INFO,
        "ICID {icid} Receiving Failed: {text}",
        ReceiveFailed(1020089, "Message size exceeds limit"),
        "A limit or rule ended a transaction or a connection.",
    ),
    plain(
        INFO,
        "ICID {icid} Unknown command: {command}",
        UnknownCommand(1020089, "XYZZY"),
        "The client sent a command that there isn't.",
    ),
    entry(
        _bad_command,
        BadCommand(1020089, "MAIL FROM:alice", "path lacks its angle brackets"),
        "The client sent a command that can't be read, or one that isn't taken now (no TLS or AUTH yet, out of order).",
        (INFO, "ICID {icid} Bad syntax for command: {command} ({text})"),
        (INFO, "ICID {icid} Refused command: {command} ({text})"),
    ),
    entry(
        _timed_out,
        ReceiveTimedOut(1020089, "10.1.1.9", 0),
        "The client was silent for too long, or its connection lived too long.",
        (INFO, "ICID {icid} disconnected address {address}, no messages injected within timeout period"),
        (
            INFO,
            "ICID {icid} disconnected address {address}, {n} messages injected, no command within timeout period",
        ),
    ),
    plain(INFO, "ICID {icid} lost", ConnectionLost(1020089), "The client vanished without QUIT."),
    plain(INFO, "ICID {icid} close", ConnectionClosed(1020089), "The last line of every ICID."),
)
