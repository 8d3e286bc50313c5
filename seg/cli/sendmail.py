"""``seg-sendmail``: the command that programs send mail with, as Sendmail, Postfix and Exim have it.

It leaves the message in the gateway's drop folder (`seg.maildrop`), durably, whether the gateway runs or not. Exit statuses are
those of sysexits.h: 64 wrong usage, 65 bad message, 67 no such user here, 69 not to be had, 73 or 75 the folder can't be used, 78 bad
configuration.
"""

from __future__ import annotations

import grp
import os
import secrets
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from socket import getfqdn
from typing import BinaryIO

import attrs

from seg.cli.client import ControlSocket, GatewayClient, GatewayError
from seg.cli.output import say
from seg.cli.sendmail_header import HeaderFields
from seg.cli.sendmail_local import LocalUsers
from seg.cli.sendmail_names import is_user, who_runs_this
from seg.cli.sendmail_options import NOTHING_TO_DO, SendmailOptions, UsageFault, parse
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles, ConfigurationOrigin, find_configuration
from seg.config.load import load_settings
from seg.config.paths import drop_path, socket_path
from seg.config.schema import Settings
from seg.filter.header import HeaderTooLong
from seg.filter.submission import SubmissionRules
from seg.mail.address import domain_of, local_part
from seg.mail.envelope import BodyType, mailbox_key
from seg.maildrop.drop_envelope import LONGEST, DropEnvelope
from seg.maildrop.folder import drop
from seg.smtp.address import PathError, check_forward_path, check_reverse_path
from seg.smtp.address_list import AddressListError, Mailbox, mailboxes

PIECE = 65536
PASSED_MOST = 1 << 30  # octets of a refused message that are read for nothing
PASSED_WAIT = (
    10.0  # seconds without an octet after which no more is waited for: the program may not mean to write anything
)
SYSTEM = Path("/etc/seg")
READS, WRITES = ("m", "s"), ("p", "v", "s", "help")  # modes that need their standard input, or output
OTHER_NAMES = {"mailq": ("-bp",), "newaliases": ("-bi",)}


class SendmailError(Exception):
    """The command ends with this exit status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@attrs.frozen
class LocalGateway:
    """The gateway whose command this is."""

    settings: Settings
    folder: Path
    hostname: str
    local: LocalUsers


def main() -> None:
    """Run the command, by whatever name it is installed (Sendmail's has two others)."""
    sys.exit(run([*OTHER_NAMES.get(Path(sys.argv[0]).name, ()), *sys.argv[1:]]))


def run(arguments: list[str]) -> int:
    """Do what a command line asks; returns the exit status."""
    try:
        wanted = parse(arguments)
    except UsageFault as fault:
        return _say(os.EX_USAGE, str(fault))
    if sys.stdin is None and wanted.mode in READS and not wanted.flush:
        return _say(os.EX_NOINPUT, "standard input is closed: there is no message")
    if sys.stdout is None and wanted.mode in WRITES:
        return _say(os.EX_IOERR, "standard output is closed")
    status = _carry_out(wanted)
    if status != os.EX_OK and wanted.mode == "m" and not wanted.flush:
        _read_on(sys.stdin.buffer)
    return status


def _carry_out(wanted: SendmailOptions) -> int:
    try:
        _do(wanted)
    except (UsageFault, SendmailError, GatewayError, ConfigurationError, OSError) as fault:
        return _say(*_status_and_text(fault))
    return os.EX_OK


def _do(wanted: SendmailOptions) -> None:
    if wanted.mode == "help":
        say("usage: seg-sendmail [options] [recipient ...] < message; man seg-sendmail tells of the options")
        return
    if wanted.mode in NOTHING_TO_DO:
        return
    place = _place(wanted.configuration)
    if wanted.mode == "p" or wanted.flush:
        _operate(wanted, place)
    elif wanted.mode == "v":
        _verify(wanted, place)
    elif wanted.mode == "s":
        _speak(place)
    else:
        _send(wanted, place, sys.stdin.buffer)


def _status_and_text(fault: Exception) -> tuple[int, str]:
    """The exit status (sysexits.h) of a fault, and what is said of it."""
    match fault:
        case SendmailError():
            found = fault.status, str(fault)
        case GatewayError():
            found = os.EX_UNAVAILABLE, fault.format_message()
        case ConfigurationError():
            found = os.EX_CONFIG, "; ".join(fault.problems)
        case PermissionError():
            advice = f"you have to be in the group {_group_of(fault.filename)}"
            found = os.EX_NOPERM, f"{fault.filename or 'the drop folder'}: {fault.strerror}; {advice}"
        case FileNotFoundError():
            found = os.EX_CANTCREAT, f"{fault.filename}: no such folder; start the gateway once, which makes it"
        case OSError():
            found = os.EX_TEMPFAIL, f"not sent: {fault.strerror or fault}; try again"
        case _:
            found = os.EX_USAGE, str(fault)
    return found


def _read_on(source: BinaryIO) -> None:
    """Take the rest of a message that isn't sent: a program that still writes it would be ended by SIGPIPE, and tell nobody why."""
    passed = 0
    with suppress(OSError, ValueError):  # io.UnsupportedOperation is both
        if source.isatty():
            return
        descriptor = source.fileno()
        while passed < PASSED_MOST and select.select([descriptor], [], [], PASSED_WAIT)[0]:
            data = os.read(descriptor, PIECE)
            if not data:
                return
            passed += len(data)


def _speak(place: LocalGateway) -> None:
    from seg.cli.sendmail_smtp import serve

    whole = serve(sys.stdin.buffer, sys.stdout.buffer, place.hostname, place.settings, place.folder, place.local)
    if not whole:
        raise SendmailError(os.EX_DATAERR, "the input ended within a message, which isn't sent")


def _group_of(path: str | None) -> str:
    """The group of a folder that may not be written, or of the one around a file."""
    for place in (Path(path or "."), Path(path or ".").parent):
        try:
            if place.is_dir():
                return grp.getgrgid(place.stat().st_gid).gr_name
        except (OSError, KeyError):
            continue
    return "of that folder"


def _verify(wanted: SendmailOptions, place: LocalGateway) -> None:
    """-bv: whether somebody takes mail for each recipient, as far as it can be told here."""
    for address in (address for text in wanted.recipients for address in _addresses(text, "recipient", place)):
        if (objection := place.local.objection(address)) is not None:
            raise SendmailError(*objection)
        say(f"{address} ... deliverable")


def _say(status: int, text: str) -> int:
    print(f"seg-sendmail: {text}", file=sys.stderr)
    return status


def _place(configuration: str | None) -> LocalGateway:
    """The system's configuration goes before that of the working directory: this runs wherever a program happens to be."""
    files = find_configuration(configuration)
    if configuration is None and (SYSTEM / "seg.toml").exists():
        files = ConfigurationFiles(SYSTEM / "seg.toml", SYSTEM / "destinations.toml", ConfigurationOrigin.SYSTEM)
    settings = load_settings(files.settings)
    hostname = settings.gateway.hostname or getfqdn()
    return LocalGateway(settings, drop_path(settings), hostname, LocalUsers(settings, hostname, files))


def _operate(wanted: SendmailOptions, place: LocalGateway) -> None:
    gateway = GatewayClient(ControlSocket(socket_path(place.settings)))
    if wanted.mode == "p":
        from seg.cli.queue_listing import show

        show(gateway)
    elif wanted.only_message:
        answer = gateway.post("/v1/messages", action="retry", mids=[int(wanted.only_message)])
        if not answer["done"]:
            raise SendmailError(os.EX_DATAERR, f"there is no message {wanted.only_message} that waits in the queue")
    elif wanted.only_site:
        from seg.cli.bulk import find, in_pieces

        site = {"domain": wanted.only_site}
        in_pieces(gateway, "retry", site, find(gateway, site), quiet=True)
    else:
        gateway.post("/v1/messages", action="retry", all=True)


def _send(wanted: SendmailOptions, place: LocalGateway, source: BinaryIO) -> None:
    if not wanted.recipients and not wanted.from_header:
        raise UsageFault("name recipients, or have them taken from the header with -t")
    user, full_name = who_runs_this()
    sender, given_name = _sender(wanted.sender if wanted.sender is not None else user, place.hostname)
    lines = _lines(source, wanted.dot_ends)
    header, first = _header(lines)
    recipients = [address for text in wanted.recipients for address in _addresses(text, "recipient", place)]
    if wanted.from_header:
        recipients += [address for name, text in header.recipients() for address in _addresses(text, name, place)]
        header.without_bcc()
    addresses = tuple({mailbox_key(each): each for each in reversed(recipients)}.values())[::-1]
    if not addresses:
        raise SendmailError(os.EX_DATAERR, "the header names no recipient (To, Cc, Bcc)")
    if len(addresses) > place.settings.receive.max_recipients:
        raise SendmailError(
            os.EX_UNAVAILABLE, f"{len(addresses)} recipients; {place.settings.receive.max_recipients} are allowed"
        )
    for address in addresses:
        if (objection := place.local.objection(address)) is not None:
            raise SendmailError(*objection)
    rules = SubmissionRules(place.hostname, place.settings.submission, place.local.known)
    header.complete(
        _in_header(sender or f"MAILER-DAEMON@{place.hostname}"),
        wanted.name or given_name or full_name,
        formatdate(localtime=True),
        f"<{secrets.token_hex(12)}@{place.hostname}>",
        rules if rules.programs else None,
    )
    content = _InputContent(_text(header), first, lines, place.settings.receive.max_message_size)
    body = wanted.body or BodyType.EIGHT_BIT  # what a program writes may have any octets
    note = DropEnvelope(sender, addresses, body, wanted.notify, wanted.ret, wanted.envid)
    name = drop(place.folder, note, content)
    if wanted.verbose:
        print(f"seg-sendmail: handed in as {name} for {', '.join(addresses)}", file=sys.stderr)


def _text(header: HeaderFields) -> bytes:
    try:
        return header.text()
    except HeaderTooLong as error:
        raise SendmailError(os.EX_DATAERR, str(error)) from None


def _header(lines: Iterator[bytes]) -> tuple[HeaderFields, bytes]:
    """The header, and the line behind it when that isn't empty."""
    header, octets = HeaderFields(), 0
    for number, line in enumerate(lines):
        octets += len(line)
        if octets > LONGEST:
            raise SendmailError(os.EX_DATAERR, f"the header is larger than {LONGEST} octets")
        if number == 0 and line.startswith(b"From "):
            continue  # of a mailbox file
        if line == b"\n":
            break
        if not header.add(line):
            return header, line
    return header, b""


def _lines(source: BinaryIO, dot_ends: bool) -> Iterator[bytes]:
    """Lines that end in LF (pieces of very long ones), until the input ends or a line is a dot alone."""
    at_start = True
    while line := source.readline(PIECE):
        if line.endswith(b"\r\n"):
            line = line[:-2] + b"\n"
        if at_start and dot_ends and line in (b".\n", b"."):
            return
        at_start = line.endswith(b"\n")
        yield line


class _InputContent:
    """Header and body in order; too much is a fault while it is written, so that nothing is kept."""

    def __init__(self, header: bytes, first: bytes, lines: Iterator[bytes], most: int) -> None:
        self._parts = (header, first)
        self._lines = lines
        self._most = most

    def __iter__(self) -> Iterator[bytes]:
        size = sum(map(len, self._parts))
        yield from self._parts
        if b"\0" in self._parts[0] + self._parts[1]:
            raise SendmailError(os.EX_DATAERR, "the message holds a NUL")
        for line in self._lines:
            if b"\0" in line:
                raise SendmailError(os.EX_DATAERR, "the message holds a NUL")
            size += len(line) + 1
            if size > self._most:
                raise SendmailError(os.EX_DATAERR, f"the message is larger than {self._most} octets (max_message_size)")
            yield line


def _sender(text: str, hostname: str) -> tuple[str, str]:
    """The envelope sender, and the name that stands with it."""
    if text.strip() in ("", "<>"):
        return "", ""
    found = _mailboxes(text, "sender")
    if len(found) != 1:
        raise SendmailError(os.EX_DATAERR, f"{text!r} isn't one sender")
    return _address(found[0].address, hostname, check_reverse_path), found[0].name.strip('"')


def _addresses(text: str, field: str, place: LocalGateway) -> list[str]:
    """The addresses of a list."""
    found = _mailboxes(text, field, place.local.known)
    return [_address(each.address, place.hostname, check_forward_path) for each in found]


def _mailboxes(text: str, field: str, known: Callable[[str], bool] = is_user) -> list[Mailbox]:
    try:
        return mailboxes(text, known)
    except AddressListError as error:
        raise SendmailError(os.EX_DATAERR, f"{field}: {error}; nothing is sent") from None


def _address(address: str, hostname: str, check: Callable[[str], None]) -> str:
    """An address of a list; one without domain is of this machine."""
    whole = address if "@" in address else f"{address}@{hostname}"
    try:
        check(whole)
    except PathError as error:
        raise SendmailError(os.EX_DATAERR, f"{address!r} is no address: {error}") from None
    return whole


def _in_header(address: str) -> str:
    """The address with its domain in A-labels, which need no SMTPUTF8."""
    return f"{local_part(address)}@{domain_of(address)}"
