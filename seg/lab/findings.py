"""What came of a case, by the gateway's events and by what the receivers saw, held against what was expected.

Both sides are asked, and they have to agree. Pure.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence

import attrs

from seg.config.destinations import TLSOption
from seg.lab.arrivals import ReceivedMessage
from seg.lab.cases import Case, ExpectedOutcome, Protection
from seg.lab.maillog import LoggedEvent
from seg.mail.causes import PolicyResult

_OPINION = re.compile(r"(?P<word>[\w-]+)(?:\(.*\))?", re.DOTALL)  # of a provider: docs/log-lines.md
_REQUIRED = tuple(
    option.label for option in (TLSOption.REQUIRED, TLSOption.REQUIRED_VERIFY, TLSOption.REQUIRED_VERIFY_HOSTED)
)


class OpinionWord(enum.StrEnum):
    """The words of providers that say whether a policy was found."""

    NONE = "none"
    ENFORCE = "enforce"
    REFUSE = "refuse"
    TESTING = "testing"
    TEMPFAIL = "tempfail"
    OTHER = ""  # any other: there is one

    @classmethod
    def of(cls, text: str) -> OpinionWord:
        """The word that an opinion begins with."""
        match = _OPINION.fullmatch(text)
        return next((word for word in cls if match and match["word"] == word), cls.OTHER)


@attrs.frozen
class CaseResult:
    """One row of the table."""

    case: Case
    outcome: ExpectedOutcome
    protection: Protection
    mid: int = 0  # 0: the gateway didn't take the message
    policy: str = ""  # what was found for the domain, in a few words
    mx: str = ""  # the host that was decided on
    tls: str = ""  # version as the receiver saw it
    verified_by: str = ""
    why: str = ""  # one line, in the gateway's words
    explanation: str = ""  # everything that the gateway said about it
    differences: tuple[str, ...] = ()  # from what was expected; () = all as it should be

    @property
    def ok(self) -> bool:
        """Whether all is as expected."""
        return not self.differences


def mid_of(events: Sequence[LoggedEvent], recipient: str) -> int:
    """The id of the newest message to a recipient, 0 when there's none."""
    return next((e["mid"] for e in reversed(events) if e.matches("recipient_accepted", {"address": recipient})), 0)


def outcome_of(events: Sequence[LoggedEvent], mid: int) -> ExpectedOutcome:
    """What has come of a message with one recipient so far."""
    names = {event.name for event in events if event.fields.get("mid") == mid}
    if "recipients_delivered" in names:
        return ExpectedOutcome.DELAYED_THEN_DELIVERED if "recipient_delayed" in names else ExpectedOutcome.DELIVERED
    if "recipient_bounced" in names:
        return ExpectedOutcome.BOUNCED
    return ExpectedOutcome.DEFERRED if "recipient_delayed" in names else ExpectedOutcome.NOTHING


def find(
    case: Case,
    events: Sequence[LoggedEvent],
    messages: Sequence[ReceivedMessage],
    *,
    envelopes_in_clear: int = 0,
    log: Sequence[str] = (),
) -> CaseResult:
    """The finding for a case.

    :param messages: those that arrived for its domain.
    :param envelopes_in_clear: sessions of its host in which sender or recipient were said outside TLS.
    :param log: lines of the mail log.
    """
    mid = mid_of(events, case.recipient)
    own = [event for event in events if mid and event.fields.get("mid") == mid]
    explained = [event for event in own if event.name == "policy_explained"]
    last = explained[-1] if explained else None
    routed = any(event.name == "route_used" for event in own)
    fetches = [e["cause"] for e in events if e.matches("sts_fetch_failed", {"domain": case.domain})]
    opinions = dict(last["opinions"]) if last else {}
    found = CaseResult(
        case,
        outcome_of(events, mid),
        _protection(messages),
        mid,
        policy_found(opinions, routed=routed, null_mx=case.null_mx, fetch_failed=bool(fetches)),
        last["host"] if last else "",
        messages[-1].tls if messages else "",
        _verified_by(last) if last else "",
        _why(own, last, fetches),
        _everything(case, events, own),
    )
    return attrs.evolve(found, differences=tuple(_differences(found, messages, envelopes_in_clear, log)))


def _verified_by(explained: LoggedEvent) -> str:
    """Who vouches for the server: TLSA records below an insecure MX do as well as they can."""
    return "dane" if explained["result"] == PolicyResult.TRUSTED else str(explained["verified_by"])


def policy_found(
    opinions: Mapping[str, str], *, routed: bool = False, null_mx: bool = False, fetch_failed: bool = False
) -> str:
    """What the policy providers said, in a few words.

    :param fetch_failed: a policy of the domain couldn't be fetched.
    """
    if routed:
        return "none asked: SMTP route"
    if null_mx:
        return "takes no mail"
    words = []
    static = opinions.get("static", "")
    dane, sts = (OpinionWord.of(opinions.get(name, OpinionWord.NONE)) for name in ("dane", "mta-sts"))
    if dane is not OpinionWord.NONE:
        words.append("DANE, lookup failed" if dane is OpinionWord.TEMPFAIL else "DANE")
    if sts in (OpinionWord.ENFORCE, OpinionWord.REFUSE):
        words.append("MTA-STS enforce")
    elif sts is OpinionWord.TESTING:
        words.append("MTA-STS testing")
    elif sts is OpinionWord.NONE and fetch_failed:
        words.append("MTA-STS, not to be had")
    if static in _REQUIRED:
        words.append(f"operator: {static}")
    return " + ".join(words) or "none"


def _protection(messages: Sequence[ReceivedMessage]) -> Protection:
    if not messages:
        return Protection.NOT_SENT
    return Protection.ENCRYPTED if all(message.tls for message in messages) else Protection.CLEAR


def error_of(event: LoggedEvent) -> str:
    """The error of a delay or bounce in one line: status, text, and what the other server said."""
    fields = event.fields
    remote = " ".join(fields.get("remote") or ())
    said = f" ({fields['code']} {remote})" if remote and remote not in fields.get("error", "") else ""
    return f"{fields.get('enhanced', '')} {fields.get('error', '')}{said}".strip()


def _why(own: Sequence[LoggedEvent], explained: LoggedEvent | None, fetch_failures: Sequence[str]) -> str:
    """The last failure when there's no delivery, else how it was delivered and what is notable about it."""
    names = [event.name for event in own]
    failures = [event for event in own if event.name in ("recipient_delayed", "recipient_bounced")]
    errors = [error_of(event) for event in failures]
    if "recipients_delivered" not in names:
        return errors[-1] if errors else ""
    route = next((f"SMTP route to {event['route']}" for event in own if event.name == "route_used"), "")
    notes = [route] if route else []
    if explained is not None:
        notes.append(explained["outcome"])
    notes += [f"no policy could be fetched: {cause}" for cause in fetch_failures]
    if errors:
        notes.insert(0, f"first {errors[0]}; then")
    return "; ".join(notes).replace("then;", "then")


def _everything(case: Case, events: Sequence[LoggedEvent], own: Sequence[LoggedEvent]) -> str:
    """All that the gateway said about a message, its domain and its connections, for looking words up."""
    dcids = {event.fields.get("dcid") for event in own} - {0, None}
    about = [e for e in events if e.fields.get("domain") == case.domain or e.fields.get("dcid") in dcids]
    parts = []
    for event in (*own, *about):
        parts += [f"{name}={word}" for name, word in event.fields.get("opinions", {}).items()]
        parts += [str(value) for key, value in event.fields.items() if key != "opinions"]
        parts.append(event.name)
    return " ".join(parts)


def _differences(
    found: CaseResult, messages: Sequence[ReceivedMessage], envelopes_in_clear: int, log: Sequence[str]
) -> list[str]:
    case = found.case
    differences = []
    for what, expected, came in (
        ("outcome", case.outcome, found.outcome),
        ("protection", case.protection, found.protection),
        ("verified by", case.verified_by or "nobody", found.verified_by or "nobody"),
    ):
        if expected != came:
            differences.append(f"{what}: expected {expected}, found {came}")
    delivered = found.outcome in (ExpectedOutcome.DELIVERED, ExpectedOutcome.DELAYED_THEN_DELIVERED)
    if delivered != bool(messages):
        differences.append(f"the gateway says {found.outcome}, but {len(messages)} messages arrived")
    if len(messages) > 1:
        differences.append(f"the message arrived {len(messages)} times")
    if envelopes_in_clear and case.protection is not Protection.CLEAR:
        differences.append("sender or recipient were told in clear text")
    differences += [f"not explained: {word!r}" for word in case.why if word not in found.explanation]
    wanted = [text for text in case.log if not any(text in line for line in log)]
    return differences + [f"not in the mail log: {text!r}" for text in wanted]
