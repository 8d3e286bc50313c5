"""What replies mean that hinder or end a session, rather than judge a recipient. Pure."""

from __future__ import annotations

from seg.mail.errors import Permanent, Temporary
from seg.smtp.client_events import InjectedPlaintext
from seg.smtp.replies import Phase, Reply
from seg.smtp.verdicts import ReplyVerdict, verdict_on


def is_alert(octets: bytes) -> bool:
    """Whether these are one TLS record of type alert and nothing else (RFC 8446 §5.1, §6)."""
    return len(octets) == 7 and octets[:2] == b"\x15\x03" and octets[3:5] == b"\x00\x02"


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
