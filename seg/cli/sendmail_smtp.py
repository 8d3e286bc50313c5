"""``seg-sendmail -bs``: SMTP at standard input and output, for programs that speak nothing else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from seg.cli.sendmail_local import LocalUsers
from seg.config.schema import Settings
from seg.drop.folder import drop
from seg.drop.note import Note
from seg.smtp import server_events as told
from seg.smtp.commands import MailArguments, RcptArguments
from seg.smtp.server import ServerConnection, ServerOptions
from seg.smtp.server_replies import Reply

PIECE = 65536
IN_MEMORY = 1024 * 1024  # octets of a message that need no file yet
NOT_STORED = Reply(451, "4.3.0", "The message could not be stored; try again later")
TOO_MANY = Reply(452, "4.5.3", "Too many recipients")


def serve(source: BinaryIO, out: BinaryIO, hostname: str, settings: Settings, folder: Path, local: LocalUsers) -> None:
    """Hold one session; returns when the client has ended it."""
    receive = settings.receive
    options = ServerOptions(hostname, receive.max_message_size, receive.max_unknown_commands, True, False)
    core = ServerConnection(options)
    desk = _Desk(core, folder, receive.max_recipients, local)
    core.greet()
    _flush(core, out)
    read = getattr(source, "read1", source.read)
    while not desk.ended and (data := read(PIECE)):
        for event in core.receive_data(data):
            desk.meet(event)
            _flush(core, out)
        _flush(core, out)


def _flush(core: ServerConnection, out: BinaryIO) -> None:
    if data := core.data_to_send():
        out.write(data)
        out.flush()


class _Desk:
    """Answers what the core asks."""

    def __init__(self, core: ServerConnection, folder: Path, most: int, local: LocalUsers) -> None:
        self.ended = False
        self._core = core
        self._folder = folder
        self._most = most
        self._local = local
        self._begin(MailArguments(""))

    def _begin(self, arguments: MailArguments) -> None:
        self._mail = arguments
        self._recipients: list[RcptArguments] = []
        self._content = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed when it is garbage

    def meet(self, event: told.ServerEvent) -> None:
        """Take one event, and answer if it wants an answer."""
        if isinstance(event, told.MailGiven):
            self._begin(event.arguments)
            self._core.accept()
        elif isinstance(event, told.RecipientGiven):
            self._add(event.arguments)
        elif isinstance(event, told.ContentReceived):
            self._content.write(event.data)
        elif isinstance(event, told.ContentEnded):
            self._drop()
        elif isinstance(event, told.SessionEnded):
            self.ended = True

    def _add(self, recipient: RcptArguments) -> None:
        if len(self._recipients) >= self._most:
            self._core.refuse(TOO_MANY)
            return
        if (objection := self._local.objection(recipient.address)) is not None:
            status, text = objection
            self._core.refuse(Reply(550, "5.1.1", text) if status == os.EX_NOUSER else Reply(451, "4.3.5", text))
            return
        self._recipients.append(recipient)
        self._core.accept()

    def _drop(self) -> None:
        """One file for each way in which recipients want to hear of the message."""
        mail = self._mail
        try:
            for notify in dict.fromkeys(each.notify for each in self._recipients):
                addresses = tuple(each.address for each in self._recipients if each.notify == notify)
                drop(
                    self._folder,
                    Note(mail.reverse_path, addresses, mail.body, notify, mail.ret, mail.envid, mail.smtputf8),
                    self._pieces(),
                )
        except OSError:
            self._core.refuse(NOT_STORED)
        else:
            self._core.accept()

    def _pieces(self) -> Iterator[bytes]:
        self._content.seek(0)
        while piece := self._content.read(PIECE):
            yield piece
