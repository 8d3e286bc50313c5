"""The ``[[log_subscription]]`` tables: where their lines go, and what the tables must have in common with the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from seg.config.log import LogForm, LogSubscription, SubscriptionKind
from seg.config.problems import offered
from seg.config.syntax import parse_host, parse_port, split_port

KINDS_OF_EVENTS = ("gateway", "receive", "queue", "delivery", "policy", "dns")

_FORMS = "unix:/dev/log, udp:host:514 or tcp:host:601"
_PORTS = {"udp": 514, "tcp": 601}  # RFC 5426 §3.3, RFC 3195 §2 (which registered 601 for syslog over TCP)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LONGEST_PATH = 107  # octets of a unix socket's path (unix(7))


@attrs.frozen
class SyslogAddress:
    """Where syslog listens: a path, or host and port."""

    transport: str  # "unix", "udp" or "tcp"
    path: str = ""
    host: str = ""
    port: int = 0


@attrs.frozen
class LogFileName:
    """A log file's names: while it is written, and once it is closed."""

    name: str
    form: LogForm

    @property
    def closed(self) -> str:
        """Name of a file that was closed, with ``{}`` for the time."""
        return Path(self.name).stem + (".@{}.s" if self.form is LogForm.TEXT else ".@{}.jsonl")

    @property
    def closed_pattern(self) -> str:
        """What the names of all closed files fit, compressed or not."""
        return self.closed.format("*") + "*"


MAIL_LOG = LogFileName("mail.log", LogForm.TEXT)
MAIL_JSON = LogFileName("mail.jsonl", LogForm.JSON)


def file_of(subscription: LogSubscription) -> LogFileName | None:
    """The file that a subscription writes; None when it is of another kind."""
    if subscription.kind is not SubscriptionKind.FILE:
        return None
    ending = "log" if subscription.form is LogForm.TEXT else "jsonl"
    return LogFileName(subscription.file or f"{subscription.name}.{ending}", subscription.form)


def place_of(subscription: LogSubscription) -> str:
    """Where a subscription's lines go, in a word: the file's name, or the address."""
    file = file_of(subscription)
    return file.name if file else subscription.address


def parse_syslog_address(text: str) -> SyslogAddress:
    """The address of a syslog daemon; a port may be left out.

    :raises ValueError: it has none of the forms.
    """
    transport, colon, rest = text.partition(":")
    if transport == "unix":
        if not rest.startswith("/") or len(rest.encode()) > _LONGEST_PATH:
            raise ValueError(f'"{text}" wants the whole path of a socket, such as unix:/dev/log')
        return SyslogAddress(transport, path=rest)
    if transport not in _PORTS or not colon:
        raise ValueError(f'"{text}" is not {_FORMS}')
    host, number = split_port(rest)
    if not host:
        raise ValueError(f'"{text}" is not {_FORMS}')
    port = _PORTS[transport] if number is None else parse_port(number)
    return SyslogAddress(transport, host=parse_host(host), port=port)


def check_kind_of_events(text: str) -> None:
    """A kind of events.

    :raises ValueError: there is none of this name.
    """
    if text not in KINDS_OF_EVENTS:
        raise ValueError(f'"{text}" is no kind of events{offered(text, KINDS_OF_EVENTS)}')


def check_file_name(text: str) -> None:
    """A log file's name.

    :raises ValueError: it isn't a plain name.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(f'"{text}" is no plain file name: letters, digits, ".", "-" and "_", at most 64')
    if text.endswith(".gz"):
        raise ValueError(f'"{text}" would be taken for a compressed file')


def subscription_faults(one: LogSubscription, others: Sequence[LogSubscription]) -> Iterator[tuple[str, str]]:
    """What is wrong with one table, as (key, fault).

    :param others: the tables before it.
    """
    if not one.name:
        yield "name", "must not be empty"
    elif not _NAME.fullmatch(one.name):
        yield "name", f'"{one.name}" may have letters, digits, ".", "-" and "_" only, at most 64'
    elif one.name in {other.name for other in others}:
        yield "name", f'another subscription is called "{one.name}"'
    elif file := file_of(one):
        yield from _file_faults(one, file, others)


def _file_faults(
    one: LogSubscription, file: LogFileName, others: Sequence[LogSubscription]
) -> Iterator[tuple[str, str]]:
    """Files that would get into each other's way, while they are written or once they are closed."""
    key = "file" if one.file else "name"
    for owner, other in [("the [log] section", MAIL_LOG), ("the [log] section", MAIL_JSON)] + [
        (f'subscription "{each.name}"', taken) for each in others if (taken := file_of(each))
    ]:
        if file.name == other.name:
            yield key, f"{file.name} is written by {owner}; set another file"
            return
        if file.closed == other.closed:
            closed = file.closed.format("...")
            yield key, f"closed files would be called {closed}, as those of {owner}; set another file"
            return
