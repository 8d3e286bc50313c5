"""``seg-sendmail -bs``: SMTP at standard input and output, for programs that speak nothing else."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import attrs

from seg.cli.sendmail_local import LocalUsers
from seg.config.schema import Settings
from seg.filter.header import HeaderTooLong
from seg.filter.submission import HeaderCompletion, SubmissionRules
from seg.mail.envelope import DSNNotify, mailbox_key
from seg.maildrop.drop_envelope import LONGEST, DropEnvelope
from seg.maildrop.folder import drop
from seg.receive.transaction import HEADER_TOO_LONG
from seg.smtp import server_events as events
from seg.smtp.commands import MailArguments, RcptArguments
from seg.smtp.reply import Reply
from seg.smtp.server import ServerConnection
from seg.smtp.server_options import AddressLeniency, ServerOptions
from seg.smtp.server_table import State

PIECE = 65536
IN_MEMORY = 1024 * 1024  # octets of a message that need no file yet
NOT_STORED = Reply.of(451, "4.3.0", "The message could not be stored; try again later")
_LF = re.compile(rb"(?<!\r)\n")
TOO_MANY = Reply.of(452, "4.5.3", "Too many recipients")


def serve(source: BinaryIO, out: BinaryIO, hostname: str, settings: Settings, folder: Path, local: LocalUsers) -> bool:
    """Hold one session; returns when the client has ended it, and whether that was so outside of a message.

    :raises OSError: a message could not be stored, which its program was told as well.
    """
    receive = settings.receive
    options = ServerOptions(
        hostname,
        receive.max_message_size,
        receive.max_unknown_commands,
        normalise=True,
        starttls=False,
        lenient=AddressLeniency.ALL,
    )
    core = ServerConnection(options)
    rules = SubmissionRules(hostname, settings.submission, local.known)
    sasl = _StdioSession(core, folder, receive.max_recipients, local, rules)
    core.greet()
    _flush(core, out)
    read = getattr(source, "read1", source.read)
    split = False  # the last piece ended between CR and LF
    while not sasl.ended and (data := read(PIECE)):
        while data:
            piece, data = _first(core.state, data)
            if core.state is not State.BDAT:  # whose octets are counted
                piece, split = _with_crlf(piece, split), piece.endswith(b"\r")
            for event in core.receive(piece):
                sasl.meet(event)
                _flush(core, out)
            _flush(core, out)
    if sasl.fault is not None:
        raise sasl.fault
    return sasl.ended or not core.in_transaction


def _first(state: State, data: bytes) -> tuple[bytes, bytes]:
    """What can be looked at in one way, and the rest: a command may change how the next line is read."""
    if state in (State.DATA, State.BDAT):
        return data, b""
    line, end, rest = data.partition(b"\n")
    return line + end, rest


def _with_crlf(piece: bytes, split: bool) -> bytes:
    """Lines as the network has them. Programs write the ends that a pipe has.

    :param split: a CR came right before.
    """
    first = piece[:1] if split and piece.startswith(b"\n") else b""
    return first + _LF.sub(b"\r\n", piece[len(first) :])


def _flush(core: ServerConnection, out: BinaryIO) -> None:
    if data := core.data_to_send():
        out.write(data)
        out.flush()


class _StdioSession:
    """Answers what the core asks."""

    def __init__(
        self, core: ServerConnection, folder: Path, most: int, local: LocalUsers, rules: SubmissionRules
    ) -> None:
        self.ended = False
        self.fault: OSError | None = None  # why the last message that wasn't stored wasn't
        self._core = core
        self._folder = folder
        self._most = most
        self._local = local
        self._rules = rules
        self._begin(MailArguments(""))

    def _begin(self, arguments: MailArguments) -> None:
        self._mail = arguments
        self._recipients: list[RcptArguments] = []
        self._too_long = False  # its header
        # A number that nobody has takes the place of the MID that the gateway will give. The date is that of handing in.
        number, now = secrets.randbits(64), time.time()
        self._completion: HeaderCompletion | None = None
        if self._rules.programs:
            self._completion = HeaderCompletion(self._rules, arguments.reverse_path, number, now, LONGEST)
        self._content = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed when it is garbage

    def meet(self, event: events.ServerEvent) -> None:
        """Take one event, and answer if it wants an answer."""
        if isinstance(event, events.MailCommand):
            self._begin(event.arguments)
            self._core.accept()
        elif isinstance(event, events.RcptCommand):
            self._add(event.arguments)
        elif isinstance(event, events.ContentReceived):
            self._write(event.data)
        elif isinstance(event, events.ContentEnded):
            self._write(b"", ended=True)
            self._drop()
        elif isinstance(event, events.SessionEnded):
            self.ended = True

    def _write(self, piece: bytes, ended: bool = False) -> None:
        """Keep the next octets, below a header that lacks nothing."""
        if self._too_long:
            return
        try:
            if self._completion is not None:
                piece = self._completion.finish() if ended else self._completion.feed(piece)
        except HeaderTooLong:
            self._too_long = True
        else:
            self._content.write(piece)

    def _add(self, recipient: RcptArguments) -> None:
        if len(self._recipients) >= self._most:
            self._core.refuse(TOO_MANY)
            return
        recipient = attrs.evolve(recipient, address=self._whole(recipient.address))
        if (objection := self._local.objection(recipient.address)) is not None:
            status, text = objection
            self._core.refuse(Reply.of(550, "5.1.1", text) if status == os.EX_NOUSER else Reply.of(451, "4.3.5", text))
            return
        self._recipients.append(recipient)
        self._core.accept()

    def _whole(self, address: str) -> str:
        return address if "@" in address else f"{address}@{self._core.options.hostname}"

    def _wishes(self) -> dict[frozenset[DSNNotify] | None, list[RcptArguments]]:
        """Each recipient once, by what is to be told of him."""
        found: dict[tuple[str, str], RcptArguments] = {}
        for each in self._recipients:
            before = found.get(mailbox_key(each.address))
            found[mailbox_key(each.address)] = each if before is None else before.joined(each)
        wishes: dict[frozenset[DSNNotify] | None, list[RcptArguments]] = {}
        for each in found.values():
            wishes.setdefault(each.notify, []).append(each)
        return wishes

    def _drop(self) -> None:
        """One file for each way in which recipients want to hear of the message."""
        mail = self._mail
        if self._too_long:
            self._core.refuse(HEADER_TOO_LONG)
            return
        try:
            for notify, recipients in self._wishes().items():
                note = DropEnvelope(
                    mail.reverse_path,
                    tuple(each.address for each in recipients),
                    mail.body,
                    notify,
                    mail.ret,
                    mail.envid,
                    mail.smtputf8,
                    tuple(each.orcpt for each in recipients) if any(each.orcpt for each in recipients) else (),
                )
                drop(self._folder, note, self._pieces())
        except OSError as error:
            self.fault = error
            self._core.refuse(NOT_STORED)
        else:
            self._core.accept()

    def _pieces(self) -> Iterator[bytes]:
        self._content.seek(0)
        while piece := self._content.read(PIECE):
            yield piece
