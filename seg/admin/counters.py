"""What has happened since the start, counted from events: the one source of the numbers of ``seg status``, the rates and the metrics.

A number has a name and values of its labels. No label has a value that strangers can choose; of those that a third party's provider can make
there are at most `MOST_WORDS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from seg.events.base import Event
from seg.events.delivery import (
    DeliveryConnected,
    DeliveryConnectFailed,
    DeliveryTLSDeferred,
    DeliveryTLSFailed,
    DeliveryTLSStarted,
    ExemptionUsed,
    PolicyExplained,
    PolicyObserved,
    RecipientsDelivered,
    RecipientsDiscarded,
    TLSAlert,
)
from seg.events.dns import DNSFailed
from seg.events.gateway import AdminRefused, Fault, SyslogAway, SyslogLinesLost
from seg.events.policy import DANESucceeded, STSFetchFailed, STSPolicyFetched, STSSucceeded
from seg.events.queue import BounceGenerated, DoubleBounce, RecipientBounced, RecipientDelayed, SpoolFileCorrupt
from seg.events.receive import (
    AuthFailed,
    AuthSucceeded,
    ConnectionAccepted,
    ConnectionAdmitted,
    FilterAnswered,
    FilterAway,
    MessageReceived,
    ReceiveTLSStarted,
    RecipientAccepted,
    RecipientRefused,
    RefusalsUntold,
)
from seg.mail.causes import PolicyResult

MOST_WORDS = 40  # values of a label that a provider of a third party may make; more are "other"

Key = tuple[str, ...]  # a name, and the values of its labels
Handler = Callable[[Any], object]

_WORD = re.compile(r"[a-z0-9-]{1,30}")
_OUR_PROVIDERS = ("dane", "mta-sts", "profile", "static")
_STATUS = re.compile(r"([245]\.\d{1,2})\.\d{1,3}")
# Those that have no labels are 0 from the start.
_PLAIN: Mapping[type[Event], str] = {
    ConnectionAccepted: "connections_accepted",
    DeliveryConnected: "connections_out",
    DeliveryTLSFailed: "tls_failures",
    DeliveryConnectFailed: "connect_failures",
    DeliveryTLSDeferred: "policy_refusals",
    AdminRefused: "admin_refused",
    RecipientAccepted: "recipients_received",
    RecipientRefused: "recipients_refused",
    BounceGenerated: "reports",
    DoubleBounce: "double_bounces",
    ExemptionUsed: "exemptions_used",
    TLSAlert: "tls_alerts",
    Fault: "faults",
    SyslogAway: "faults",
    SpoolFileCorrupt: "spool_files_corrupt",
}
_OTHERS = ("messages_received", "received_bytes", "filters_away", "syslog_lines_lost")


class _Numbers(dict[Key, int]):
    """Numbers that begin at 0 when they are first counted."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self.began: dict[Key, float] = {}  # POSIX seconds

    def __missing__(self, key: Key) -> int:
        self.began[key] = self._now()
        return 0


class _OpinionKeys(dict[Key, Key]):
    """By provider and word of an opinion: what it is counted by."""

    def __init__(self, word: Callable[[str, str], str]) -> None:
        super().__init__()
        self._word = word

    def __missing__(self, said: Key) -> Key:
        provider, word = said
        key = ("policy_opinions", self._word("provider", provider), self._word(f"words of {provider}", word))
        if key[1:] == said:  # what is "other" may be anything
            self[said] = key
        return key


class EventCounters:
    """The numbers; `handlers` count events, each by one call.

    :param now: POSIX seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._numbers = numbers = _Numbers(now)
        for name in (*_PLAIN.values(), *_OTHERS):
            numbers[(name,)] += 0
        self._words: dict[str, set[str]] = {}
        self._opinions = _OpinionKeys(self._word)
        self.handlers: Mapping[type[Event], Handler] = {
            **{kind: self._counting(name) for kind, name in _PLAIN.items()},
            AuthSucceeded: self._counting("auth", "succeeded"),
            AuthFailed: self._counting("auth", "failed"),
            STSSucceeded: self._counting("verified", "mta-sts"),
            DANESucceeded: self._counting("verified", "dane"),
            STSPolicyFetched: self._counting("sts_fetches", "fetched"),
            STSFetchFailed: self._counting("sts_fetches", "failed"),
            ConnectionAdmitted: self._admitted,
            ReceiveTLSStarted: self._tls_received,
            DeliveryTLSStarted: self._tls_sent,
            MessageReceived: self._received,
            RefusalsUntold: self._untold,
            FilterAnswered: self._filter_answered,
            FilterAway: self._filter_away,
            PolicyExplained: self._explained,
            PolicyObserved: self._observed,
            RecipientsDelivered: self._delivered,
            RecipientsDiscarded: self._discarded,
            RecipientDelayed: self._delayed,
            RecipientBounced: self._bounced,
            DNSFailed: self._dns_failed,
            SyslogLinesLost: self._lines_lost,
        }

    # --- asking ------------------------------------------------------------------------------------

    def total(self, *key: str) -> int:
        """All numbers whose name and labels begin so."""
        length = len(key)
        return sum(number for known, number in self._numbers.items() if known[:length] == key)

    def numbers(self, name: str) -> Iterator[tuple[Key, int, float]]:
        """The numbers of a name: the values of their labels, each number, and since when it is counted (POSIX seconds)."""
        for key, number in self._numbers.items():
            if key[0] == name:
                yield key[1:], number, self._numbers.began[key]

    # --- counting ----------------------------------------------------------------------------------

    def _counting(self, *key: str) -> Handler:
        numbers = self._numbers

        def count(event: Event) -> None:
            numbers[key] += 1

        return count

    def _admitted(self, event: ConnectionAdmitted) -> None:
        self._numbers["connections_in", event.action.lower()] += 1

    def _received(self, event: MessageReceived) -> None:
        if not event.own:
            self._numbers[("messages_received",)] += 1
            self._numbers[("received_bytes",)] += event.size

    def _untold(self, event: RefusalsUntold) -> None:
        self._numbers[("recipients_refused",)] += event.recipients
        self._numbers["auth", "failed"] += event.logins

    def _tls_received(self, event: ReceiveTLSStarted) -> None:
        self._numbers["tls_sessions", "in", event.protocol] += 1
        self._numbers["tls_groups", "in", event.group or "none"] += 1  # of those that we take

    def _tls_sent(self, event: DeliveryTLSStarted) -> None:
        self._numbers["tls_sessions", "out", event.protocol] += 1
        self._numbers["tls_groups", "out", event.group or "none"] += 1  # of those that we offer

    def _filter_answered(self, event: FilterAnswered) -> None:
        self._numbers["filters", self._word("filter", event.name), event.answer] += 1

    def _filter_away(self, event: FilterAway) -> None:
        self._numbers[("filters_away",)] += 1
        self._numbers["filters", self._word("filter", event.name), "away"] += 1

    def _delivered(self, event: RecipientsDelivered) -> None:
        self._numbers["recipients", "delivered"] += len(event.rids)

    def _discarded(self, event: RecipientsDiscarded) -> None:
        self._numbers["recipients", "discarded"] += len(event.rids)

    def _delayed(self, event: RecipientDelayed) -> None:
        self._numbers["delays", _status(event.error.enhanced)] += 1

    def _bounced(self, event: RecipientBounced) -> None:
        self._numbers["recipients", "bounced"] += 1
        self._numbers["bounces", _status(event.error.enhanced)] += 1

    def _explained(self, event: PolicyExplained) -> None:
        numbers, opinions = self._numbers, self._opinions
        numbers["attempts", attempt_label(event.result, event.verified_by)] += 1
        for provider, said in event.opinions:
            match = _WORD.match(said)
            numbers[opinions[provider, match[0] if match else ""]] += 1

    def _observed(self, event: PolicyObserved) -> None:
        result = "passed" if event.ok else "failed"
        self._numbers["policy_observed", self._word("provider", event.provider), result] += 1

    def _dns_failed(self, event: DNSFailed) -> None:
        self._numbers["dns_failures", self._word("dns", event.kind.lower())] += 1

    def _lines_lost(self, event: SyslogLinesLost) -> None:
        self._numbers[("syslog_lines_lost",)] += event.count

    def _word(self, kind: str, word: str) -> str:
        """A label's value; of too many different ones the rest are "other"."""
        known = self._words.setdefault(kind, set())
        if word not in known:
            if len(known) >= MOST_WORDS:
                return "other"
            known.add(word)
        return word


def _status(enhanced: str) -> str:
    """Class and subject of a status (RFC 3463): of "4.7.5" it is "4.7"."""
    match = _STATUS.match(enhanced)
    return match[1] if match else "other"


def attempt_label(result: PolicyResult, verified_by: str) -> str:
    """What came of a decision in a word: ``verified_by_dane``, ``unverified``, ``clear``, ``refused``, ``not_reached``."""
    if result is PolicyResult.VERIFIED:
        return f"verified_by_{verified_by if verified_by in _OUR_PROVIDERS else 'other'}"
    if result is PolicyResult.TRUSTED:  # nobody knows whose records they are
        result = PolicyResult.UNVERIFIED
    return result.replace("-", "_")
