"""What `seg.smtp.client.ClientConnection` has to say to its adapter: one event ends each operation."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import attrs

from seg.mail.errors import Permanent, Temporary
from seg.smtp.client_auth import ChallengeError
from seg.smtp.client_capabilities import Capabilities
from seg.smtp.reply import Reply

Result = Reply | Temporary | Permanent  # of one recipient; a `Reply` is the server's acceptance


class InjectedPlaintext(Temporary):
    """Octets came in clear text where a server that is about to speak TLS sends none: behind the 220 of STARTTLS before any
    handshake, or before a command was sent. Somebody in between put them there, or the server is broken: defer, and don't go on
    in clear text."""


class FailedBeforeHello(Temporary):
    """The server's TLS failed before it saw anything of ours: an alert, or text that can't be a reply, came with the 220 of STARTTLS."""


class Anew(enum.Enum):
    """Why a transaction that a connection didn't serve may have another one at once."""

    KEPT_ENDED = "a connection kept from an earlier message had ended"
    BDAT_UNKNOWN = "the server offers CHUNKING and doesn't know BDAT"


@attrs.frozen
class Greeted:
    """EHLO (or HELO) was accepted."""

    capabilities: Capabilities


@attrs.frozen
class TLSAgreed:
    """STARTTLS got its 220 and nothing came behind it: begin the handshake now, before any other octet is
    read."""


@attrs.frozen
class TLSRefused:
    """STARTTLS got another reply than 220; the session goes on in clear text."""

    error: Temporary


@attrs.frozen
class ResponseWanted:
    """AUTH came to a challenge whose answer takes time to compute: call `compute` beside the reactor, and hand what it returns to
    `ClientConnection.respond`."""

    compute: Callable[[], bytes | ChallengeError]


@attrs.frozen
class Authenticated:
    """AUTH got its 235, and the server showed all that the mechanism wants of it."""


@attrs.frozen
class AuthRefused:
    """AUTH was refused, or given up; the session goes on without it."""

    error: Temporary


@attrs.frozen
class ContentWanted:
    """At least one recipient is accepted, and DATA got its 354 or BDAT was made: send the content, in the way that
    `ClientConnection.encoder` makes it, then call `content_sent`."""


@attrs.frozen
class TransactionDone:
    """Every recipient of the transaction has its result."""

    results: Mapping[int, Result]  # by RID


@attrs.frozen
class ResetDone:
    """RSET was accepted."""


@attrs.frozen
class Ended:
    """The connection can't be used any more: close it. A transaction under way has had its `TransactionDone`
    before."""

    error: Temporary


ClientEvent = (
    Greeted
    | TLSAgreed
    | TLSRefused
    | ResponseWanted
    | Authenticated
    | AuthRefused
    | ContentWanted
    | TransactionDone
    | ResetDone
    | Ended
)
