"""What a `seg.smtp.server.ServerConnection` tells its adapter.

A `Question` must be answered before anything more is read.
"""

from __future__ import annotations

import attrs

from seg.smtp.commands import MailArguments, RcptArguments
from seg.smtp.reply import Reply
from seg.smtp.xclient import XClient


class ServerEvent:
    """Base of what the server core tells."""

    __slots__ = ()


class Question(ServerEvent):
    """Base of those that have to be answered, now or later: until then nothing more is read."""

    __slots__ = ()


@attrs.frozen
class MailCommand(Question):
    """A client wants to begin a transaction."""

    arguments: MailArguments


@attrs.frozen
class MailTooLarge(ServerEvent):
    """MAIL declared a size above the limit, and was refused."""

    arguments: MailArguments


@attrs.frozen
class RcptCommand(Question):
    """A client names a recipient."""

    arguments: RcptArguments


@attrs.frozen
class DataStarted(ServerEvent):
    """354 is given; content follows."""


@attrs.frozen
class ContentReceived(ServerEvent):
    """The next octets of content: CRLF lines, dots unstuffed. A piece never ends between CR and LF."""

    data: bytes


@attrs.frozen
class ContentEnded(Question):
    """The content is whole: take responsibility for it, or refuse."""

    size: int  # octets of content


@attrs.frozen
class ContentRefused(ServerEvent):
    """The content broke a rule and was refused when its end had come; the transaction is over."""

    reply: Reply


@attrs.frozen
class TransactionDropped(ServerEvent):
    """The client gave up its transaction with RSET, EHLO or HELO."""

    command: str


@attrs.frozen
class TLSWanted(ServerEvent):
    """Send what is due, start TLS as the server, then call `tls_started`."""


@attrs.frozen
class AuthBegun(Question):
    """A client wants to authenticate; the answer is `challenge`, `authenticated` or `refuse`."""

    mechanism: str
    initial: bytes | None = attrs.field(repr=False)  # None: it sent no initial response


@attrs.frozen
class AuthResponse(Question):
    """The response to a challenge; answered as `AuthBegun`."""

    data: bytes = attrs.field(repr=False)


@attrs.frozen
class AuthEnded(ServerEvent):
    """The client cancelled the exchange, or its response was malformed; it has its reply."""

    reply: Reply


@attrs.frozen
class XclientCommand(Question):
    """A proxy says who the client is; the answer is `reset_for_xclient`, then `greet`."""

    client: XClient


@attrs.frozen
class VrfyCommand(Question):
    """VRFY, where it is answered."""

    address: str


@attrs.frozen
class CommandUnknown(ServerEvent):
    """No command that is known, or one that isn't served."""

    line: str  # as received, non-ASCII octets as backslash escapes


@attrs.frozen
class CommandRefused(ServerEvent):
    """A command, or what should be one, was malformed or out of place."""

    line: str  # as received, non-ASCII octets as backslash escapes; "" when it wasn't kept
    reply: Reply


@attrs.frozen
class SessionEnded(ServerEvent):
    """The last reply is given: send what is due, then close. A transaction that was open is dropped."""

    cause: str  # "" when the client said QUIT, and where the event before it says it
