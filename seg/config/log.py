"""``[log]`` and ``[[log_subscription]]``: what is logged, and where."""

# `key` makes a field, as attrs.field does; the linter can't know it.
# ruff: noqa: RUF009

from __future__ import annotations

import enum

import attrs

from seg.config.key import key


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
