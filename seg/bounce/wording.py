"""What a report tells people: why, in whose words, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from seg.bounce.fields import printable
from seg.model import Action, Bounced, Delayed, Delivered, Outcome, Recipient

SUBJECTS = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed",
    Action.RELAYED: "Your message was handed on",
}

# (status codes, what it means, what the sender can do); the first entry whose prefix fits is used. RFC 3463
# §3.
_ADVICE: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("5.1.10",),
        "The domain of this address accepts no mail.",
        "Check the address; the domain says that nobody there can be reached by mail.",
    ),
    (
        ("5.1.2", "5.4.4"),
        "The domain of this address could not be found, or no mail server for it.",
        "Check the part of the address behind the @ for mistakes.",
    ),
    (
        ("5.1.",),
        "The address was not accepted.",
        "Check the address for mistakes, then send the message again.",
    ),
    (
        ("5.2.2",),
        "The recipient's mailbox is full.",
        "Reach the recipient in another way, or send the message again later.",
    ),
    (
        ("5.2.3", "5.3.4"),
        "The message is larger than the recipient's system accepts.",
        "Send a smaller message, or a link in place of an attachment.",
    ),
    (
        ("5.4.6",),
        "The message went round in a loop.",
        "Tell the recipient's administrator, or ours.",
    ),
    (
        ("5.4.7",),
        "The message could not be delivered in the time allowed, so we have stopped trying.",
        "Send the message again later. If that fails too, show this report to the recipient's administrator.",
    ),
    (
        ("5.7.",),
        "The message was refused for reasons of security or policy.",
        "If the refusal seems wrong, show this report to the recipient's administrator by another way.",
    ),
    (
        ("5.",),
        "The message could not be delivered.",
        "If the reason above doesn't tell you what to do, show this report to the recipient's administrator.",
    ),
)

_TLS_WORDS = ("mta-sts", "dane", "tlsa", "tls", "starttls", "certificate")
_TLS_ADVICE = (
    "The rule named above asks for an encrypted connection to a server whose identity is proven, and the "
    "server did not give that. The message was therefore not handed over; nothing of it was sent. Only the "
    "recipient's administrator can mend this: pass the reason on."
)


def explanation(hostname: str, action: Action, told: Sequence[tuple[Recipient, Outcome]], until: str = "") -> list[str]:
    """The paragraphs of the first part, for all recipients.

    :param until: the date until which delivery is tried, of a delay.
    """
    whom = "the recipient below" if len(told) == 1 else f"the {len(told)} recipients below"
    opening = {
        Action.FAILED: f"Your message could not be delivered to {whom}. It will not be tried again.",
        Action.DELAYED: f"Your message has not been delivered to {whom} yet. You need not send it again: "
        f"it will be tried until {until}.",
        Action.RELAYED: f"Your message for {whom} was handed on, to a system that doesn't report on deliveries. "
        "You will hear of it again only if it fails there.",
    }
    paragraphs = [f"This is the mail system at {hostname}.", opening[action]]
    for recipient, outcome in told:
        paragraphs.extend(_one(recipient, outcome))
    return paragraphs


def _one(recipient: Recipient, outcome: Outcome) -> list[str]:
    paragraphs = [f"<{printable(recipient.address)}>"]
    if isinstance(outcome, Delivered):
        return [*paragraphs, f"The server said: {printable(outcome.reply)}"]
    error = outcome.error
    meaning, advice = _advice("5" + error.enhanced[1:], error.text, ours=not error.code)
    failed = isinstance(outcome, Bounced)
    if failed:
        paragraphs.append(meaning)
    if error.text:
        paragraphs.append(f"Reason{'' if failed else ' so far'}: {printable(error.text)} ({error.enhanced})")
    if error.remote:
        host = f" {outcome.host}" if outcome.host else ""
        paragraphs.append(f"The server{host} said: {printable(' '.join(_reply(outcome)))}")
    if failed:
        paragraphs.append(f"What you can do: {advice}")
    elif advice is _TLS_ADVICE:
        paragraphs.append(f"What this means: {advice}")
    return paragraphs


def _reply(outcome: Bounced | Delayed) -> tuple[str, ...]:
    error = outcome.error
    return (str(error.code), *error.remote) if error.code else error.remote


def diagnostic(outcome: Outcome) -> str:
    """The remote server's reply as one line, "" where there was none."""
    if isinstance(outcome, Delivered):
        return printable(f"250 {outcome.reply}")
    return printable(" ".join(_reply(outcome))) if outcome.error.remote or outcome.error.code else ""


def _advice(enhanced: str, text: str, ours: bool) -> tuple[str, str]:
    """What a status means and what to do; `ours`: the verdict is this gateway's, so its words about TLS are
    to be trusted."""
    for prefixes, meaning, advice in _ADVICE:
        if enhanced.startswith(prefixes):
            return meaning, _TLS_ADVICE if ours and _about_tls(enhanced, text) else advice
    raise AssertionError(f"{enhanced} is no permanent status")


def _about_tls(enhanced: str, text: str) -> bool:
    words = text.lower().replace(":", " ").replace(",", " ").split()
    return enhanced.startswith(("5.7.", "5.4.7")) and any(word in _TLS_WORDS for word in words)
