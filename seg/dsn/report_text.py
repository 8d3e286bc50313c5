"""What a report tells people: why, in whose words, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from seg.dsn.fields import LONGEST_REPLY, LONGEST_TEXT, printable
from seg.dsn.languages import Language
from seg.mail.envelope import Recipient
from seg.mail.outcome import Bounced, Delayed, Delivered, DSNAction, Outcome

IN_FULL = 50  # recipients (in all languages together) of whom everything is told; of the others address and status
OF_ONE_KIND = 10  # recipients named above what is the same for them
LONGEST_LIST = 40_000  # characters of the list of the others

ReportedFailure = Sequence[tuple[Recipient, Outcome]]


@attrs.frozen
class Account:
    """Who is told of in full, those with the same outcome together, and who with address and status only."""

    groups: tuple[tuple[ReportedFailure, int], ...]  # the recipients that are named, and how many more it holds for
    rest: ReportedFailure


def account(told: ReportedFailure, languages: int) -> Account:
    """Divide the recipients of a report."""
    alike: dict[object, list[tuple[Recipient, Outcome]]] = {}
    for recipient, outcome in told:
        alike.setdefault(_kind(outcome), []).append((recipient, outcome))
    groups: list[tuple[ReportedFailure, int]] = []
    rest: list[tuple[Recipient, Outcome]] = []
    left = max(IN_FULL // languages, 1)
    for group in alike.values():
        named = group[: min(left, OF_ONE_KIND)]
        left -= len(named)
        rest += group[len(named) :]
        if named:
            groups.append((named, len(group) - len(named)))
    return Account(tuple(groups), tuple(rest))


def _kind(outcome: Outcome) -> object:
    """Equal where the same is to be told."""
    if isinstance(outcome, Delivered):
        return outcome.reply
    error = outcome.error
    said = tuple(line[:LONGEST_REPLY] for line in error.remote[:OF_ONE_KIND])
    return type(outcome), outcome.host, error.enhanced, error.code, error.text[:LONGEST_TEXT], said


def explanation(
    language: Language,
    hostname: str,
    action: DSNAction,
    told: ReportedFailure,
    groups: Sequence[tuple[ReportedFailure, int]],
    until: str = "",
) -> list[str]:
    """The paragraphs of the first part, for all recipients.

    :param groups: those of whom everything is told.
    :param until: the date until which delivery is tried, of a delay.
    """
    whom = language.text("opening", "one" if len(told) == 1 else "many", **_count(told))
    values = {"recipients": whom} | ({"until": until} if action is DSNAction.DELAYED else {})
    paragraphs = [language.text("opening", "system", hostname=hostname), language.text("opening", action, **values)]
    for named, more in groups:
        paragraphs.extend(f"<{printable(recipient.address)}>" for recipient, _ in named)
        if more:
            paragraphs.append(language.text("label", "same", count=more))
        paragraphs.extend(_one(language, named[0][1]))
    return paragraphs


def listing(languages: Sequence[Language], rest: ReportedFailure) -> list[str]:
    """The lines that name the others; they are the same in every language but for what stands above and below them."""
    if not rest:
        return []
    lines = [language.text("label", "rest", count=len(rest)) for language in languages]
    room = LONGEST_LIST
    for number, (recipient, outcome) in enumerate(rest):
        line = f"<{printable(recipient.address)}> {status(outcome)}"
        room -= len(line) + 2
        if room < 0:
            lines += [language.text("label", "left_out", count=len(rest) - number) for language in languages]
            break
        lines.append(line)
    return lines


def status(outcome: Outcome) -> str:
    """The enhanced status code of an outcome (RFC 3463)."""
    return "2.0.0" if isinstance(outcome, Delivered) else outcome.error.enhanced


def _count(told: Sequence[object]) -> dict[str, int]:
    return {"count": len(told)} if len(told) != 1 else {}


def _one(language: Language, outcome: Outcome) -> list[str]:
    if isinstance(outcome, Delivered):
        return [language.text("label", "server_said", text=printable(outcome.reply, LONGEST_REPLY))]
    paragraphs: list[str] = []
    error = outcome.error
    meaning = language.status("5" + error.enhanced[1:])
    about_tls = error.cause is not None and error.cause.by_policy
    failed = isinstance(outcome, Bounced)
    if failed:
        paragraphs.append(meaning.meaning)
    if error.text:
        label = "reason" if failed else "reason_so_far"
        paragraphs.append(language.text("label", label, text=printable(error.text), status=error.enhanced))
    if error.remote:
        paragraphs.append(_said(language, outcome))
    advice = language.text("tls", "advice") if about_tls else meaning.advice
    if failed:
        paragraphs.append(language.text("label", "what_to_do", text=advice))
    elif about_tls:
        paragraphs.append(language.text("label", "what_it_means", text=advice))
    return paragraphs


def _said(language: Language, outcome: Bounced | Delayed) -> str:
    text = _reply(outcome)
    if outcome.host:
        return language.text("label", "host_said", host=printable(outcome.host), text=text)
    return language.text("label", "server_said", text=text)


def _reply(outcome: Bounced | Delayed) -> str:
    """A remote server's reply as one line, as much of it as is told."""
    error = outcome.error
    said, room = [str(error.code)] if error.code else [], 4 * LONGEST_REPLY
    for line in error.remote:
        said.append(line[: room + 1])
        room -= len(line) + 1
        if room <= 0:
            break
    return printable(" ".join(said), LONGEST_REPLY)


def diagnostic(outcome: Outcome) -> str:
    """The remote server's reply as one line, "" where there was none."""
    if isinstance(outcome, Delivered):
        return printable(f"250 {outcome.reply}", LONGEST_REPLY)
    return _reply(outcome) if outcome.error.remote or outcome.error.code else ""
