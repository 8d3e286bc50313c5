"""What is told to a milter of one message before its body, step by step."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from seg.filter.message import FilteredMessage
from seg.filter.milter.macros import encoded, macros
from seg.filter.milter.options import MilterOptions, Stage, Steps
from seg.filter.milter.wire import Command, frame, strings
from seg.mail.envelope import BodyType, Recipient
from seg.smtp.commands import MailArguments


@attrs.frozen
class MilterStep:
    """One command, and what the milter may have wished for it."""

    frames: bytes  # macros and command
    silent: bool  # it gives no reply


def script(message: FilteredMessage, hostname: str, options: MilterOptions) -> Iterator[MilterStep]:
    """All commands up to the end of the header, but for those that the milter doesn't want to hear.

    :raises MilterError: something doesn't fit into a frame.
    """
    steps = options.steps
    if Steps.NO_CONNECT not in steps:
        told = _macros(Command.CONNECT, Stage.CONNECT, message, hostname, options)
        yield MilterStep(told + frame(Command.CONNECT, _connection(message)), Steps.SILENT_CONNECT in steps)
    if Steps.NO_HELO not in steps:
        told = _macros(Command.HELO, Stage.HELO, message, hostname, options)
        yield MilterStep(told + frame(Command.HELO, strings(message.client.helo)), Steps.SILENT_HELO in steps)
    if Steps.NO_MAIL not in steps:
        told = _macros(Command.MAIL, Stage.MAIL, message, hostname, options)
        sender = message.sender
        words = strings(f"<{sender.reverse_path}>", *_mail_parameters(sender))
        yield MilterStep(told + frame(Command.MAIL, words), Steps.SILENT_MAIL in steps)
    if Steps.NO_RCPT not in steps:
        for recipient in message.recipients:
            told = _macros(Command.RCPT, Stage.RCPT, message, hostname, options, recipient)
            words = strings(f"<{recipient.address}>", *_rcpt_parameters(recipient))
            yield MilterStep(told + frame(Command.RCPT, words), Steps.SILENT_RCPT in steps)
    if Steps.NO_DATA not in steps:
        told = _macros(Command.DATA, Stage.DATA, message, hostname, options)
        yield MilterStep(told + frame(Command.DATA), Steps.SILENT_DATA in steps)
    yield from _header(message, hostname, options)


def end(message: FilteredMessage, hostname: str, options: MilterOptions) -> bytes:
    """The end of the body, with its macros."""
    return _macros(Command.END, Stage.END, message, hostname, options) + frame(Command.END)


def _header(message: FilteredMessage, hostname: str, options: MilterOptions) -> Iterator[MilterStep]:
    steps = options.steps
    if Steps.NO_HEADER not in steps:
        for field in message.fields:
            # Lines end with LF here, as in Sendmail.
            value = field.value.replace("\r\n", "\n")
            if Steps.LEADING_SPACE not in steps:
                value = value.removeprefix(" ")
            yield MilterStep(frame(Command.HEADER, strings(field.name, value)), Steps.SILENT_HEADER in steps)
    if Steps.NO_END_OF_HEADER not in steps:
        told = _macros(Command.END_OF_HEADER, Stage.END_OF_HEADER, message, hostname, options)
        yield MilterStep(told + frame(Command.END_OF_HEADER), Steps.SILENT_END_OF_HEADER in steps)


def _macros(
    command: Command,
    stage: Stage,
    message: FilteredMessage,
    hostname: str,
    options: MilterOptions,
    recipient: Recipient | None = None,
) -> bytes:
    data = encoded(command, macros(stage, message, hostname, recipient), options.macros.get(stage))
    return frame(Command.MACROS, data) if data else b""


def _connection(message: FilteredMessage) -> bytes:
    """Name, family, port and address. The port isn't known behind a load balancer, so it never is."""
    client = message.client
    name = client.name or f"[{client.address}]"
    family = b"4" if client.address.version == 4 else b"6"
    return strings(name) + family + b"\0\0" + strings(str(client.address))


def _mail_parameters(sender: MailArguments) -> Iterator[str]:
    if sender.size:
        yield f"SIZE={sender.size}"
    if sender.body is not BodyType.SEVEN_BIT:
        yield f"BODY={sender.body.value}"
    if sender.smtputf8:
        yield "SMTPUTF8"
    if sender.ret:
        yield f"RET={sender.ret.value}"
    if sender.envid:
        yield f"ENVID={sender.envid}"
    if sender.requiretls:
        yield "REQUIRETLS"


def _rcpt_parameters(recipient: Recipient) -> Iterator[str]:
    if recipient.notify is not None:
        yield f"NOTIFY={','.join(sorted(recipient.notify)) or 'NEVER'}"
    if recipient.orcpt:
        yield f"ORCPT={recipient.orcpt}"
