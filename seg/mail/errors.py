"""Why a recipient could not be served: for now (`Temporary`) or for good (`Permanent`).

Both carry the reply code and the enhanced status code (RFC 3463), which can't disagree about the class, a text for
people, and the remote server's own lines where there were any. Whoever catches one knows what to do by its type:
keep the recipient in the queue, or return the message to its sender.
"""

from __future__ import annotations

import errno
import os
from typing import ClassVar

from seg.mail.causes import CauseKind

# The operating system refuses something to this process: no word of any other host.
LOCAL_ERRNOS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
        errno.EDQUOT,
        errno.ENOSPC,
        errno.EROFS,
        errno.EIO,
    }
)


class DeliveryError(Exception):
    """A recipient, a host or a whole domain can't be served. Raise a subclass.

    :param enhanced: enhanced status code, e.g. ``"4.7.5"`` (RFC 3463); its class must fit the type.
    :param text: one line for people: what failed, and which policy or peer said so.
    :param code: the three-digit reply code of the remote server, 0 where there was no reply.
    :param remote: the remote server's reply lines as received (decoded, without the code).
    :param cause: what kind of failure it is, where something is decided by it; most classes of errors say enough.
    """

    cause: CauseKind | None = None
    status_class: ClassVar[str] = ""
    dcid = 0  # the delivery connection on which it came about, where there was one

    def __init__(
        self, enhanced: str, text: str, code: int = 0, remote: tuple[str, ...] = (), cause: CauseKind | None = None
    ) -> None:
        if not enhanced.startswith(self.status_class + "."):
            raise ValueError(f"{type(self).__name__} can't carry enhanced status code {enhanced!r}")
        if code and str(code)[0] != self.status_class:
            raise ValueError(f"{type(self).__name__} can't carry reply code {code}")
        super().__init__(enhanced, text, code, remote)
        self.enhanced = enhanced
        self.text = text
        self.code = code
        self.remote = remote
        if cause is not None:
            self.cause = cause

    @property
    def told(self) -> str:
        """The text with the server's own words behind it, where they aren't in it."""
        said = " ".join(self.remote)
        if self.code:
            said = f"{self.code} {said}"
        elif self.text.endswith(said):
            return self.text
        return f"{self.text} ({said})"

    def __str__(self) -> str:
        return f"{self.enhanced} {self.told}"


class Temporary(DeliveryError):
    """Try the next host, else keep the recipient and try again later."""

    status_class = "4"


class Permanent(DeliveryError):
    """Don't try again: the sender has to be told (unless the reverse-path is null)."""

    status_class = "5"


class LocalFault(Exception):
    """The gateway lacks something of its own: descriptors, memory, a free slot, its disk, its proxy, a resolver that it trusts.

    It is no answer of another host or domain: never remember it as theirs, and never go on with less protection for it. Defer
    (`temporary`), and try again.

    :param text: one line for people: what is lacking.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def temporary(self) -> Temporary:
        """The delivery error that defers for this reason (RFC 3463: 4.3.0, other mail system problem)."""
        return Temporary("4.3.0", self.text)


def local_fault(error: BaseException | None, but: frozenset[int] = frozenset()) -> LocalFault | None:
    """The `LocalFault` that stands behind an error, or None if there is none.

    The error's causes are looked at, and the errno of an `OSError` or of Twisted's ``ConnectError`` (``osError``).

    :param but: error numbers that say something of the other side where the caller meets them.
    """
    for _ in range(10):  # as deep as any chain of causes goes
        if error is None or isinstance(error, LocalFault):
            return error
        if isinstance(error, MemoryError):
            return LocalFault("out of memory")
        number = getattr(error, "errno", None) or getattr(error, "osError", None)
        if number in LOCAL_ERRNOS - but:
            return LocalFault(os.strerror(number))
        error = error.__cause__ or error.__context__
    return None
