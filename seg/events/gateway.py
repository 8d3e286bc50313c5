"""What happens to the gateway itself, and what operators do."""

from __future__ import annotations

import enum

import attrs

from seg.events.base import Event


@attrs.frozen
class GatewayStarted(Event):
    version: str


@attrs.frozen
class GatewayStopping(Event):
    pass


@attrs.frozen
class ListenerStarted(Event):
    name: str
    address: str
    port: int


@attrs.frozen
class Notice(Event):
    """Something an operator should read once, at Info."""

    text: str


@attrs.frozen
class Fault(Event):
    """Something that an operator should mend, at Warning; the gateway goes on."""

    text: str


@attrs.frozen
class Repeated(Event):
    """Events that said the same, but for numbers, and were left out of this log: how many in the last minute."""

    name: str  # class of the events
    text: str  # of the last one
    count: int
    fault: bool  # an operator should mend it


class ConditionKind(enum.StrEnum):
    """What can be wrong with the gateway itself for a while; `seg.events.conditions` tells when it begins and ends."""

    CLOCK = "clock"  # the system's clock was set back, or is wrong
    DISK = "disk"  # the spool can't be written (full, out of inodes, read-only, broken, wrong owner)
    DISK_READ = "disk-read"  # spool files can't be read for an error of the system
    LOG = "log"  # the mail log can't be written
    STATE_FILE = "state-file"  # a file of settings or state can't be used; what it held before stays in force
    UNREADABLE = "unreadable"  # messages that are kept aside, as nothing can be made of their files
    DAMAGED = "damaged"  # messages that are held, as a part of their files is lost
    DESCRIPTORS = "descriptors"  # file descriptors are short
    FETCHES = "fetches"  # all turns for fetching MTA-STS policies are taken
    PROXY = "proxy"  # the HTTP proxy for policy fetches is away
    RESOLVER = "resolver"  # no trusted resolver answers
    POLICIES = "policies"  # MTA-STS policies in force can't be kept, or can't be read
    CERTIFICATE = "certificate"  # one of our own certificates is out of date
    MEMORY = "memory"  # memory has run out, or the queue fills what is set aside for it
    LOCAL = "local"  # the gateway lacks something else of its own


@attrs.frozen
class ConditionBegan(Event):
    """From now on something is wrong with the gateway itself, which an operator should mend."""

    kind: ConditionKind
    subject: str  # which file, host, ...; "" where there is only one
    text: str  # what is wrong and what it means, in one line


@attrs.frozen
class ConditionEnded(Event):
    """It is over."""

    kind: ConditionKind
    subject: str
    text: str


@attrs.frozen
class SyslogAway(Event):
    """A log subscription's syslog doesn't take lines; they wait, as far as memory is set aside for them."""

    name: str
    address: str
    reason: str


@attrs.frozen
class SyslogBack(Event):
    """A log subscription's syslog takes lines again."""

    name: str
    address: str


@attrs.frozen
class SyslogLinesLost(Event):
    """Lines that a log subscription's syslog will never get."""

    name: str
    count: int


@attrs.frozen
class OperatorActed(Event):
    """A command through the control socket changed something."""

    by: str
    action: str


@attrs.frozen
class AdminListening(Event):
    """The admin API is served to other machines."""

    address: str
    port: int


@attrs.frozen
class AdminRefused(Event):
    """Somebody asked the admin API over TCP, and may not; the token itself is never told."""

    address: str
    reason: str
