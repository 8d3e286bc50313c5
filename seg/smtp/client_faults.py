"""What replies mean that hinder or end a session, rather than judge a recipient. Pure."""

from __future__ import annotations

from seg.mail.errors import Permanent, Temporary
from seg.smtp.client_events import FailedBeforeHello, InjectedPlaintext
from seg.smtp.reply import Phase, Reply
from seg.smtp.verdicts import ReplyVerdict, verdict_on


def is_alert(octets: bytes) -> bool:
    """Whether these are one TLS record of type alert and nothing else (RFC 8446 §5.1, §6)."""
    return len(octets) == 7 and octets[:2] == b"\x15\x03" and octets[3:5] == b"\x00\x02"


def behind_starttls(octets: bytes) -> Temporary:
    """What it means that something came with the 220 of STARTTLS, before the handshake began.

    An alert, and text that no reply begins with (RFC 5321 §4.2: three digits), say that the server's TLS has failed. All else may
    have been put there by somebody in between, to be taken for the first reply inside TLS (CVE-2011-0411 and its kin).
    """
    if is_alert(octets):
        return FailedBeforeHello("4.7.5", "TLS alert behind the reply to STARTTLS")
    if octets[:1].isalpha():
        return FailedBeforeHello("4.7.5", "Text where a TLS handshake belongs")
    return InjectedPlaintext("4.7.0", "Plaintext behind the reply to STARTTLS, before any handshake")


def command_unknown(reply: Reply) -> bool:
    """Whether a refusal says that the command itself isn't known."""
    return verdict_on(Phase.CONTENT, reply.code, reply.enhanced[2:]) is ReplyVerdict.COMMAND


def temporary(reply: Reply, phase: Phase) -> Temporary:
    """What a reply means that ends or hinders the session; never a verdict on a recipient."""
    error = reply.to_error(phase)
    if isinstance(error, Permanent):
        raise TypeError(f"a {reply.code} to {phase.value} isn't the session's business")
    return error


def out_of_turn(lines: tuple[str, ...], tls_offered: bool) -> Temporary:
    """What it means that the server said something that no command of ours had asked for.

    In clear text, where TLS is on offer, whoever sits in between may have said it: the reply to STARTTLS that the client is
    about to wait for, for instance (CVE-2011-0411 and its kin).
    """
    text = "Protocol error: the server spoke out of turn"
    if tls_offered:
        return InjectedPlaintext("4.7.0", f"{text}, before STARTTLS", remote=lines)
    return Temporary("4.5.0", text, remote=lines)
