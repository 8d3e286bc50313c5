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


class EventCounters:
    """The numbers; `handlers` count events.

    :param now: POSIX seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        began = now()
        self._numbers: dict[Key, int] = {(name,): 0 for name in (*_PLAIN.values(), *_OTHERS)}
        self._began: dict[Key, float] = dict.fromkeys(self._numbers, began)
        self._words: dict[str, set[str]] = {}
        self.handlers: Mapping[type[Event], Handler] = {
            **{kind: self._plain((name,)) for kind, name in _PLAIN.items()},
            ConnectionAdmitted: lambda e: self.add("connections_in", e.action.lower()),
            ReceiveTLSStarted: lambda e: self._tls_started("in", e),
            DeliveryTLSStarted: lambda e: self._tls_started("out", e),
            AuthSucceeded: lambda e: self.add("auth", "succeeded"),
            AuthFailed: lambda e: self.add("auth", "failed"),
            MessageReceived: self._received,
            RefusalsUntold: self._untold,
            FilterAnswered: lambda e: self.add("filters", self._word("filter", e.name), e.answer),
            FilterAway: self._away,
            PolicyExplained: self._explained,
            PolicyObserved: self._observed,
            RecipientsDelivered: lambda e: self.add("recipients", "delivered", by=len(e.rids)),
            RecipientsDiscarded: lambda e: self.add("recipients", "discarded", by=len(e.rids)),
            RecipientDelayed: lambda e: self.add("delays", _status(e.error.enhanced)),
            RecipientBounced: self._bounced,
            STSSucceeded: lambda e: self.add("verified", "mta-sts"),
            DANESucceeded: lambda e: self.add("verified", "dane"),
            STSPolicyFetched: lambda e: self.add("sts_fetches", "fetched"),
            STSFetchFailed: lambda e: self.add("sts_fetches", "failed"),
            DNSFailed: lambda e: self.add("dns_failures", self._word("dns", e.kind.lower())),
            SyslogLinesLost: lambda e: self.add("syslog_lines_lost", by=e.count),
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
                yield key[1:], number, self._began[key]

    # --- counting ----------------------------------------------------------------------------------

    def _plain(self, key: Key) -> Handler:
        numbers = self._numbers

        def count(event: Event) -> None:
            numbers[key] += 1

        return count

    def add(self, *key: str, by: int = 1) -> None:
        """Count something."""
        try:
            self._numbers[key] += by
        except KeyError:
            self._numbers[key], self._began[key] = by, self._now()

    def _received(self, event: MessageReceived) -> None:
        if not event.own:
            self.add("messages_received")
            self.add("received_bytes", by=event.size)

    def _away(self, event: FilterAway) -> None:
        self.add("filters_away")
        self.add("filters", self._word("filter", event.name), "away")

    def _untold(self, event: RefusalsUntold) -> None:
        self.add("recipients_refused", by=event.recipients)
        self.add("auth", "failed", by=event.logins)

    def _tls_started(self, direction: str, event: DeliveryTLSStarted | ReceiveTLSStarted) -> None:
        self.add("tls_sessions", direction, event.protocol)
        self.add("tls_groups", direction, event.group or "none")  # of those that we offer, or take

    def _bounced(self, event: RecipientBounced) -> None:
        self.add("recipients", "bounced")
        self.add("bounces", _status(event.error.enhanced))

    def _explained(self, event: PolicyExplained) -> None:
        self.add("attempts", attempt_label(event.result, event.verified_by))
        for provider, said in event.opinions:
            match = _WORD.match(said)
            self.add(
                "policy_opinions",
                self._word("provider", provider),
                self._word(f"words of {provider}", match[0] if match else ""),
            )

    def _observed(self, event: PolicyObserved) -> None:
        self.add("policy_observed", self._word("provider", event.provider), "passed" if event.ok else "failed")

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
