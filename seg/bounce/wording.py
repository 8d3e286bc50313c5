"""What a report tells people: why, in whose words, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from seg.bounce.fields import printable
from seg.bounce.languages import Language
from seg.model import Action, Bounced, Delayed, Delivered, Outcome, Recipient

_TLS_WORDS = ("mta-sts", "dane", "tlsa", "tls", "starttls", "certificate")


def explanation(
    language: Language, hostname: str, action: Action, told: Sequence[tuple[Recipient, Outcome]], until: str = ""
) -> list[str]:
    """The paragraphs of the first part, for all recipients.

    :param until: the date until which delivery is tried, of a delay.
    """
    whom = language.text("opening", "one" if len(told) == 1 else "many", **_count(told))
    values = {"recipients": whom} | ({"until": until} if action is Action.DELAYED else {})
    paragraphs = [language.text("opening", "system", hostname=hostname), language.text("opening", action, **values)]
    for recipient, outcome in told:
        paragraphs.extend(_one(language, recipient, outcome))
    return paragraphs


def _count(told: Sequence[object]) -> dict[str, int]:
    return {"count": len(told)} if len(told) != 1 else {}


def _one(language: Language, recipient: Recipient, outcome: Outcome) -> list[str]:
    paragraphs = [f"<{printable(recipient.address)}>"]
    if isinstance(outcome, Delivered):
        return [*paragraphs, language.text("label", "server_said", text=printable(outcome.reply))]
    error = outcome.error
    status = language.status("5" + error.enhanced[1:])
    about_tls = not error.code and _about_tls("5" + error.enhanced[1:], error.text)  # else it isn't our verdict
    failed = isinstance(outcome, Bounced)
    if failed:
        paragraphs.append(status.meaning)
    if error.text:
        label = "reason" if failed else "reason_so_far"
        paragraphs.append(language.text("label", label, text=printable(error.text), status=error.enhanced))
    if error.remote:
        paragraphs.append(_said(language, outcome))
    advice = language.text("tls", "advice") if about_tls else status.advice
    if failed:
        paragraphs.append(language.text("label", "what_to_do", text=advice))
    elif about_tls:
        paragraphs.append(language.text("label", "what_it_means", text=advice))
    return paragraphs


def _said(language: Language, outcome: Bounced | Delayed) -> str:
    text = printable(" ".join(_reply(outcome)))
    if outcome.host:
        return language.text("label", "host_said", host=printable(outcome.host), text=text)
    return language.text("label", "server_said", text=text)


def _reply(outcome: Bounced | Delayed) -> tuple[str, ...]:
    error = outcome.error
    return (str(error.code), *error.remote) if error.code else error.remote


def diagnostic(outcome: Outcome) -> str:
    """The remote server's reply as one line, "" where there was none."""
    if isinstance(outcome, Delivered):
        return printable(f"250 {outcome.reply}")
    return printable(" ".join(_reply(outcome))) if outcome.error.remote or outcome.error.code else ""


def _about_tls(enhanced: str, text: str) -> bool:
    words = text.lower().replace(":", " ").replace(",", " ").split()
    return enhanced.startswith(("5.7.", "5.4.7")) and any(word in _TLS_WORDS for word in words)
