"""What can go wrong on a connection besides a refusal, as errors of the recipients concerned. All are
temporary."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost

from seg.mail.causes import CauseKind
from seg.mail.errors import Temporary
from seg.mail.status import status_text
from seg.smtp.client_events import FailedBeforeHello, InjectedPlaintext
from seg.smtp.reply import Phase


class Unreachable(Temporary):
    """No connection came about: nobody answers at that address and port."""


class PolicyRefusal(Temporary):
    """TLS policy keeps the mail from a host; nothing was sent."""


class AuthenticationError(Temporary):
    """We couldn't, or wouldn't, show who we are to a host that wants it. The operator's business: profile, password, or TLS for it."""

    cause = CauseKind.AUTH_PROFILE


class StartTLSRefused(Temporary):
    """STARTTLS got another reply than 220. The session is still good, in clear text."""


class HandshakeFailed(Temporary):
    """TLS failed behind the 220. The connection is gone; nothing may be sent in clear text on it."""

    cause = CauseKind.TLS_FAILED


class Tampered(HandshakeFailed):
    """Text came where a server that is about to speak TLS sends none: behind the 220, or before STARTTLS was sent. Somebody in between
    may have put it there, so the message waits: whatever the TLS option, nothing of it goes in clear text in this attempt."""


def reason_of(error: BaseException) -> str:
    """The cause in a few words: OpenSSL's reason or the peer's alert, else the error's own text."""
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1])
    if isinstance(error, SSL.Error):
        stack = error.args[0] if error.args else ()
        return ", ".join(entry[-1] for entry in stack) or "closed without an alert"
    if isinstance(error, ConnectionDone | ConnectionLost):
        return "closed by the remote host"
    return str(error) or type(error).__name__


def fault_of(error: Temporary) -> Temporary:
    """Why a connection ended, as its kind of error here."""
    if isinstance(error, InjectedPlaintext):
        return Tampered(error.enhanced, error.text, remote=error.remote)
    if isinstance(error, FailedBeforeHello):
        return HandshakeFailed(error.enhanced, error.text)
    return error


def lost(error: BaseException, phase: Phase | None, handshaking: bool) -> Temporary:
    """The connection is gone; `phase` is what the server still owed a reply to."""
    if handshaking:
        return HandshakeFailed("4.7.5", f"TLS handshake failed: {reason_of(error)}")
    if isinstance(error, SSL.Error):
        return Temporary("4.7.5", f"TLS failed: {reason_of(error)}", cause=CauseKind.TLS_FAILED)
    owed = f" before its reply to {phase.value}" if phase else ""
    return Temporary("4.4.2", f"{status_text('4.4.2')}: {reason_of(error)}{owed}")


def timed_out(phase: Phase | None, handshaking: bool) -> Temporary:
    """The server let its time pass; `phase` is what it owed a reply to."""
    if handshaking:
        return HandshakeFailed("4.7.5", "TLS handshake failed: timeout")
    if phase is Phase.GREETING:
        return Temporary("4.4.1", f"{status_text('4.4.1')}: timeout waiting for the greeting")
    owed = f" waiting for the reply to {phase.value}" if phase else ""
    return Temporary("4.4.2", f"{status_text('4.4.2')}: timeout{owed}")


def unreadable(error: OSError) -> Temporary:
    """Our own copy of the content can't be read."""
    return Temporary("4.3.0", f"{status_text('4.3.0')}: content can't be read: {error.strerror or error}")
