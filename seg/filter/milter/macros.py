"""The macros of each stage: what Sendmail and Postfix tell milters beside the commands themselves."""

from __future__ import annotations

from collections.abc import Mapping

from seg.filter.message import FilteredMessage
from seg.filter.milter.options import Stage
from seg.filter.milter.wire import Command, pairs
from seg.mail.address import domain_of
from seg.mail.envelope import Recipient
from seg.version import __version__

UNKNOWN = "unknown"  # the name of a client without one, as both call it in a macro


def macros(stage: Stage, message: FilteredMessage, hostname: str, recipient: Recipient | None = None) -> dict[str, str]:
    """Names, without their braces, and values."""
    queue_id = {"i": str(message.mid)}
    match stage:
        case Stage.CONNECT:
            return _connection(message, hostname)
        case Stage.HELO:
            return _tls(message)
        case Stage.MAIL:
            return queue_id | _authentication(message) | _mailbox("mail", message.sender.reverse_path)
        case Stage.RCPT if recipient is not None:
            return queue_id | _mailbox("rcpt", recipient.address)
        case _:
            return queue_id


def encoded(command: Command, values: Mapping[str, str], wanted: frozenset[str] | None) -> bytes:
    """The data of the frame with macros that goes before a command; b"" when there is nothing to tell.

    :param wanted: the only ones that the milter asked for; None is all.
    """
    told = [(name, value) for name, value in values.items() if wanted is None or name in wanted]
    if not told:
        return b""
    return command.value + pairs((name if len(name) == 1 else f"{{{name}}}", value) for name, value in told)


def _connection(message: FilteredMessage, hostname: str) -> dict[str, str]:
    client = message.client
    name = client.name or UNKNOWN
    return {
        "j": hostname,
        "daemon_name": client.listener,
        "v": f"seg {__version__}",
        "_": f"{name} [{client.address}]",
        "client_addr": str(client.address),
        "client_name": name,
        "client_ptr": name,
    }


def _tls(message: FilteredMessage) -> dict[str, str]:
    tls = message.client.tls
    if tls is None:
        return {}
    return {"tls_version": tls.protocol, "cipher": tls.cipher, "cipher_bits": str(tls.bits)}


def _authentication(message: FilteredMessage) -> dict[str, str]:
    client = message.client
    return {"auth_type": client.mechanism, "auth_authen": client.user} if client.user else {}


def _mailbox(kind: str, address: str) -> dict[str, str]:
    return {
        f"{kind}_addr": address,
        f"{kind}_host": domain_of(address),
        f"{kind}_mailer": "esmtp",
    }
