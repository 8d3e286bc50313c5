"""Lines of the gateway as a whole."""

from __future__ import annotations

from seg.events.gateway import (
    AdminListening,
    AdminRefused,
    ConditionBegan,
    ConditionEnded,
    ConditionKind,
    Fault,
    GatewayStarted,
    GatewayStopping,
    ListenerStarted,
    Notice,
    OperatorActed,
    Repeated,
    SyslogAway,
    SyslogBack,
    SyslogLinesLost,
)
from seg.maillog.log_table import Level, LogEntry, LogLine, entry, plain

INFO, WARNING = Level.INFO, Level.WARNING


def _repeated(event: Repeated) -> tuple[LogLine, ...]:
    text = f"{event.text} (and {event.count} more like it in the last minute)"
    return ((WARNING if event.fault else INFO, text),)


ENTRIES: tuple[LogEntry, ...] = (
    plain(INFO, "SMTP server starting, version {version}", GatewayStarted("0.1.0"), "The gateway starts."),
    plain(INFO, "SMTP server shut down", GatewayStopping(), "The gateway stops, in good order."),
    plain(
        INFO,
        "Listener {name} at {address} port {port}",
        ListenerStarted("relay", "127.0.0.1", 2525),
        "A listener is bound.",
    ),
    plain(INFO, "{text}", Notice("Reading /etc/resolv.conf: 2 resolvers"), "Something worth reading once."),
    plain(
        WARNING,
        "{text}",
        Fault("The resolver 192.0.2.53 doesn't validate DNSSEC: DANE can't be used"),
        "Something that an operator should mend; the gateway goes on.",
    ),
    entry(
        _repeated,
        Repeated("Fault", "MID 5444: Cannot write to the queue: [Errno 28] No space left on device", 6383, True),
        "The same line again and again, but for its numbers: the first is written, the others are counted, once a minute.",
        (WARNING, "{text} (and {count} more like it in the last minute)"),
        (INFO, "{text} (and {count} more like it in the last minute)"),
    ),
    plain(
        WARNING,
        "Condition {kind}: {text}",
        ConditionBegan(
            ConditionKind.DISK, "", "the spool can't be written: No space left on device; new mail gets 452"
        ),
        "Something is wrong with the gateway itself from now on. `seg status` shows it as long as it lasts.",
    ),
    plain(
        INFO,
        "Condition {kind} is over: {text}",
        ConditionEnded(ConditionKind.DISK, "", "the spool can be written again"),
        "The same, when it is over.",
    ),
    plain(
        INFO,
        "Operator {by}: {action}",
        OperatorActed("root", "retry MID 5444"),
        "A command through the control socket changed something; `token NAME` is whoever has that token of the admin API.",
    ),
    plain(
        INFO,
        "Admin API at {address} port {port}",
        AdminListening("192.0.2.1", 9726),
        "The admin API is served over TLS, as `[control] address` wants.",
    ),
    plain(
        WARNING,
        "Admin API: {address} refused: {reason}",
        AdminRefused("198.51.100.7", "unknown token"),
        "A request without a token that counts, or one that its token doesn't allow. From one address ten failures in "
        "ten minutes are told; then it is turned away unheard.",
    ),
    plain(
        WARNING,
        "syslog {name}: {address} takes no lines: {reason}; they wait",
        SyslogAway("siem", "tcp:siem.example.net:601", "Connection refused"),
        "A log subscription's syslog can't be reached, or went away; said once, and mail goes on.",
    ),
    plain(
        INFO,
        "syslog {name}: {address} takes lines again",
        SyslogBack("siem", "tcp:siem.example.net:601"),
        "It is there again, and gets what waited.",
    ),
    plain(
        WARNING,
        "syslog {name}: {count} lines lost",
        SyslogLinesLost("siem", 5444),
        "More than memory is set aside for waited for it; said once it is back, or when it is given up.",
    ),
)
