"""Finds the policy in force for a domain: by its TXT record, from the cache, or by a fetch (RFC 8461 §3.1, §3.3, §5.1)."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from seg.common.clock import cautious_of
from seg.common.spread import SpreadCalls
from seg.config.schema import MTASTS
from seg.dns.answer import DNSFailure
from seg.dns.interfaces import IResolver
from seg.events.base import IEventSink
from seg.events.gateway import Fault
from seg.events.policy import (
    STSCacheHit,
    STSFetchFailed,
    STSFetchStarted,
    STSPolicyFetched,
    STSPolicyWithdrawn,
    STSRecordFailed,
    STSRecordFound,
    STSRecordInvalid,
)
from seg.mail.causes import CauseKind
from seg.mail.errors import LocalFault
from seg.policy.mtasts.cache import PolicyCache
from seg.policy.mtasts.entry import CachedPolicy, KnownPolicy
from seg.policy.mtasts.errors import FetchError, FetchFault, OwnFetchFault, PolicyError, RecordError
from seg.policy.mtasts.fetch import policy_url
from seg.policy.mtasts.inspection import STSInspection, inspect_policy
from seg.policy.mtasts.interfaces import IPolicyFetcher
from seg.policy.mtasts.moments import RecentTimes, lately
from seg.policy.mtasts.policy import Mode, STSPolicy, parse_policy
from seg.policy.mtasts.proxy import parse_proxy
from seg.policy.mtasts.record import read_record
from seg.policy.mtasts.troubles import FetchTroubles
from seg.policy.mtasts.turns import Claim


@attrs.frozen
class PolicyLookup:
    """The policy in force, or why there is none."""

    policy: STSPolicy | None = None
    policy_id: str = ""
    how: str = ""  # "cached" or "fetched"
    reason: str = ""  # without a policy
    cause: CauseKind | None = None  # without a policy, where that is a failure to know


@attrs.frozen
class _Kept:
    """What the cache has of a domain that is in force now."""

    entry: CachedPolicy | None = None
    lack: LocalFault | None = None  # why that isn't known

    def finding(self, reason: str, cause: CauseKind | None = None, lack: LocalFault | None = None) -> PolicyLookup:
        """What holds when nothing newer is known.

        :param reason: why there is nothing newer, by the domain's own doing.
        :param lack: why there isn't, by ours: then only a policy that is enforced stays in force (RFC 8461 §3.3), as any other
            could have been replaced by one.
        :raises LocalFault: that can't be told.
        """
        entry, lack = self.entry, lack or self.lack
        if entry is not None and (lack is None or entry.policy.mode is Mode.ENFORCE):
            return PolicyLookup(entry.policy, entry.policy_id, "cached")
        if lack is not None:
            raise lack
        return PolicyLookup(reason=reason, cause=cause)


class PolicyStore:
    """Knows the policy of every domain, or finds it out.

    :param clock: policies are held against its time in POSIX seconds (`cautious_of`).
    :param troubles: what is wrong of our own that keeps fetches from being made.
    """

    def __init__(
        self,
        resolver: IResolver,
        fetcher: IPolicyFetcher,
        cache: PolicyCache,
        settings: MTASTS,
        sink: IEventSink,
        clock: IReactorTime,
        troubles: FetchTroubles | None = None,
    ) -> None:
        self.cache = cache
        self.troubles = troubles or FetchTroubles(sink)
        self._resolver = resolver
        self._fetcher = fetcher
        self._settings = settings
        self._sink = sink
        self.now = self._now = cautious_of(clock)
        self._telling = SpreadCalls(clock)
        self.proxy = str(parse_proxy(settings.proxy) or "")
        self._failures = RecentTimes()  # the last fetch that failed, by the domain's own doing
        self._rereads = RecentTimes()  # the last time that every MX was refused
        self._followed = RecentTimes()  # the last time that a new id was followed sooner than the retry interval wants
        self._flushes = 0
        self._flights: dict[str, list[Deferred[PolicyLookup]]] = {}  # who waits for a fetch under way

    async def current(self, domain: str, reread: bool = False, mid: int = 0) -> PolicyLookup:
        """The policy in force now. Nothing but the TXT answer and a look into the cache, as long as the id is the same.

        No domain is fetched from more than twice in the retry interval (the second time for a new id), whatever its record says: till
        then the policy that was fetched stays in force, even one that ends sooner.

        :param reread: every MX was refused: fetch even if the id is the same.
        :param mid: the message that asks.
        :raises LocalFault: it isn't known what is in force, for a reason of ours: defer.
        """
        try:
            policy_id, reason, cause = await self._record(domain)
        except LocalFault as lack:
            return self._used(domain, (await self._kept(domain)).finding("", lack=lack))
        kept = await self._kept(domain)
        if not policy_id:  # RFC 8461 §3.3, §5.1: a cached policy outlives its record
            return self._used(domain, kept.finding(reason, cause))
        self._sink.emit(STSRecordFound(domain, policy_id))
        if reread:
            reread = self._may_reread(domain, kept.entry)
        if kept.entry is not None and kept.entry.policy_id == policy_id and not reread:
            if self._sink.debug:
                self._sink.emit(STSCacheHit(domain))
            return self._used(domain, kept.finding(""))
        if self._failures.within(domain, self._now(), self._settings.retry_interval):
            return self._used(domain, kept.finding("policy fetch failed lately", CauseKind.STS_FETCH_FAILED))
        if kept.entry is not None and self._fetched_lately(kept.entry) and not self._may_follow(domain):
            return self._used(domain, kept.finding(""))
        try:
            return await self._fetched(domain, policy_id, kept, mid)
        except LocalFault as lack:
            return self._used(domain, kept.finding("", lack=lack))

    def _may_reread(self, domain: str, entry: CachedPolicy | None) -> bool:
        """Whether a second look may bring anything new: not right after a fetch, nor after the last second look."""
        now, interval = self._now(), self._settings.retry_interval
        if (entry is not None and self._fetched_lately(entry)) or self._rereads.within(domain, now, interval):
            return False
        self._rereads.note(domain, now)
        return True

    def _may_follow(self, domain: str) -> bool:
        """Whether a new id may be followed though the last fetch was a moment ago: once in a retry interval, so that a policy that is made
        stricter counts at once, and one whose id changes at each answer costs two fetches in that time."""
        if self._followed.within(domain, self._now(), self._settings.retry_interval):
            return False
        self._followed.note(domain, self._now())
        return True

    def _fetched_lately(self, entry: CachedPolicy | KnownPolicy) -> bool:
        return lately(entry.fetched, self._now(), self._settings.retry_interval)

    def in_force(self, entry: CachedPolicy | KnownPolicy) -> bool:
        """Whether a policy counts still."""
        return self._now() < entry.expires or self._fetched_lately(entry)

    async def renew(self, known: KnownPolicy) -> None:
        """See whether a cached policy is still the present one, and fetch it anew if not, or if it ends before the next look.

        One fetched in the future is fetched anew too: the clock has gone back, and its end can't be known.
        """
        domain, now = known.domain, self._now()
        policy_id, *_ = await self._record(domain)
        ends_soon = known.expires - now < 2 * self._settings.refresh_interval
        if policy_id and (policy_id != known.policy_id or ends_soon or known.fetched > now):
            if not self._fetched_lately(known):
                await self._fetched(domain, policy_id, await self._kept(domain))
            return
        if policy_id:
            await self.cache.check(domain, now)

    async def _record(self, domain: str) -> tuple[str, str, CauseKind | None]:
        """The id in the TXT record, or "" and why there is none, with the cause where that isn't known.

        :raises LocalFault: it couldn't be asked for.
        """
        try:
            answer = await self._resolver.query(f"_mta-sts.{domain}", "TXT")
            if not answer.found:
                return "", "no policy", None
            records: list[Any] = list(answer.records)  # TXT; dnspython's types don't show it
            policy_id = read_record([record.strings for record in records])
        except DNSFailure as failure:
            self._sink.emit(STSRecordFailed(domain, failure.text))
            return "", f"TXT lookup failed: {failure.kind}", CauseKind.STS_LOOKUP_FAILED
        except RecordError as error:
            self._sink.emit(STSRecordInvalid(domain, str(error)))
            return "", "invalid TXT record", None
        return (policy_id, "", None) if policy_id else ("", "no policy", None)

    def look(self, domain: str) -> Deferred[STSInspection]:
        """See everything anew, for a check; no decision is changed by it."""

        async def looking() -> STSInspection:
            kept = await self._kept(domain)
            return await inspect_policy(domain, self._resolver, self._fetcher, kept.entry)

        return Deferred.fromCoroutine(looking())

    async def _kept(self, domain: str) -> _Kept:
        try:
            entry = await self.cache.get(domain)
        except LocalFault as lack:
            return _Kept(lack=lack)
        return _Kept(entry if entry is not None and self.in_force(entry) else None)

    async def flush(self, domain: str | None) -> int:
        """An operator's word: forget the policy of a domain, or all, and whatever keeps the next attempt from fetching it at once.

        :return: how many policies there were.
        """
        self._flushes += 1
        for moments in (self._failures, self._rereads, self._followed):
            moments.clear() if domain is None else moments.forget(domain)
        return await self.cache.flush(domain)

    def _used(self, domain: str, finding: PolicyLookup) -> PolicyLookup:
        if finding.policy is not None:
            self.cache.use(domain, self._now())
        return finding

    # --- fetching --------------------------------------------------------------------------------

    def _fetched(self, domain: str, policy_id: str, kept: _Kept, mid: int = 0) -> Deferred[PolicyLookup]:
        """What a fetch brings; those who ask meanwhile share it. Who is cancelled leaves, and the fetch goes on."""

        def leave(waiter: Deferred[PolicyLookup]) -> None:
            if waiter in self._flights.get(domain, ()):  # else the result is just being told
                self._flights[domain].remove(waiter)

        waiter: Deferred[PolicyLookup] = Deferred(leave)
        under_way = self._flights.get(domain)
        self._flights.setdefault(domain, []).append(waiter)
        if under_way is None:
            Deferred.fromCoroutine(self._fetch(domain, policy_id, kept, mid)).addBoth(self._landed, domain)
        return waiter

    def _landed(self, result: Any, domain: str) -> None:
        self._telling.fire(self._flights.pop(domain), result)

    async def _fetch(self, domain: str, policy_id: str, kept: _Kept, mid: int) -> PolicyLookup:
        """A fetch and what follows from it.

        :raises LocalFault: it couldn't be made.
        """
        if self._sink.debug:
            self._sink.emit(STSFetchStarted(domain, self.proxy))
        known, flushes = self.cache.known(domain) is not None, self._flushes
        try:
            body = await self._fetcher.fetch(domain, Claim(mid, known))
            policy = _parse(body)
        except FetchError as error:
            self.troubles.ended(self._now())
            if flushes == self._flushes:  # otherwise an operator wants to see it fetched anew
                self._failures.note(domain, self._now())
            return self._fetch_failed(domain, error, kept)
        except Exception as error:  # noqa: BLE001 - whatever isn't the policy host's fault is ours, and is never taken for its answer
            raise self._own_fault(domain, error) from None
        self.troubles.ended(self._now())
        await self._keep(domain, policy_id, policy, kept.entry)
        return PolicyLookup(policy, policy_id, "fetched")

    async def _keep(self, domain: str, policy_id: str, policy: STSPolicy, old: CachedPolicy | None) -> None:
        """Keep a policy, and wait until it is on disk (if the disk lets us): mail that went by it must not be followed by mail without."""
        self._failures.forget(domain)
        self._sink.emit(STSPolicyFetched(domain, policy_id, policy.mode, policy.max_age))
        if old is not None and old.policy.mode is Mode.ENFORCE and policy.mode is Mode.NONE:
            self._sink.emit(STSPolicyWithdrawn(domain, policy_id))
        now = self._now()
        entry = CachedPolicy(domain, policy_id, policy, fetched=now, checked=now, used=now)
        if old is not None:
            entry = attrs.evolve(entry, used=old.used, delivered=old.delivered)
        await self.cache.put(entry)

    def _own_fault(self, domain: str, error: Exception) -> LocalFault:
        if isinstance(error, CancelledError):
            fault = OwnFetchFault(FetchFault.LOCAL, "its fetch was given up")
        elif isinstance(error, OwnFetchFault):
            fault = error
        elif isinstance(error, LocalFault):
            fault = OwnFetchFault(FetchFault.LOCAL, error.text)
        else:
            fault = OwnFetchFault(FetchFault.LOCAL, f"internal error: {type(error).__name__}")
            if not self.troubles.lasts(FetchFault.LOCAL):
                self._sink.emit(Fault(f"MTA-STS policy of {domain}: internal error: {error!r:.200}"))
        self.troubles.met(fault, self._now())
        return fault

    def _fetch_failed(self, domain: str, error: FetchError, kept: _Kept) -> PolicyLookup:
        url = error.url or policy_url(domain, self._settings.port)
        held = kept.entry.policy_id if kept.entry else ""
        self._sink.emit(STSFetchFailed(domain, url, error.cause, self.proxy, held))
        return self._used(domain, kept.finding(f"policy fetch failed: {error.kind}", CauseKind.STS_FETCH_FAILED))


def _parse(body: bytes) -> STSPolicy:
    try:
        return parse_policy(body)
    except PolicyError as error:
        raise FetchError(FetchFault.INVALID_POLICY, f"invalid policy: {error}") from None
