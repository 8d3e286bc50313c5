"""Finds the policy in force for a domain: by its TXT record, from the cache, or by a fetch (RFC 8461 §3.1, §3.3, §5.1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from seg import events
from seg.config.schema import MTASTS
from seg.dns.answer import DNSFailure
from seg.interfaces import IEventSink, IPolicyFetcher, IResolver
from seg.mtasts.cache import CachedPolicy, PolicyCache
from seg.mtasts.errors import FetchError, FetchFault, PolicyError, RecordError
from seg.mtasts.fetch import policy_url
from seg.mtasts.look import STSLook, look
from seg.mtasts.policy import Mode, STSPolicy, parse_policy
from seg.mtasts.proxy import parse_proxy
from seg.mtasts.record import read_record

LOOKUP_FAILED = "TXT lookup failed"
MAX_REMEMBERED = 50_000  # domains whose last failure, or last second look, is remembered


@attrs.frozen
class Finding:
    """The policy in force, or why there is none."""

    policy: STSPolicy | None = None
    policy_id: str = ""
    how: str = ""  # "cached" or "fetched"
    reason: str = ""  # without a policy


def lately(moment: float, now: float, seconds: float) -> bool:
    """Whether a moment is less than so many seconds ago. One in the future isn't: the clock has gone back since."""
    return 0 <= now - moment < seconds


class Moments:
    """When something was last done for a domain; bounded."""

    def __init__(self) -> None:
        self._moments: OrderedDict[str, float] = OrderedDict()

    def note(self, domain: str, now: float) -> None:
        """It is done now."""
        self._moments[domain] = now
        self._moments.move_to_end(domain)
        if len(self._moments) > MAX_REMEMBERED:
            self._moments.popitem(last=False)

    def forget(self, domain: str) -> None:
        """As if it had never been done."""
        self._moments.pop(domain, None)

    def within(self, domain: str, now: float, seconds: float) -> bool:
        """Whether it was done less than so many seconds ago."""
        moment = self._moments.get(domain)
        return moment is not None and lately(moment, now, seconds)


class PolicyStore:
    """Knows the policy of every domain, or finds it out.

    :param now: POSIX seconds.
    """

    def __init__(
        self,
        resolver: IResolver,
        fetcher: IPolicyFetcher,
        cache: PolicyCache,
        settings: MTASTS,
        sink: IEventSink,
        now: Callable[[], float],
    ) -> None:
        self.cache = cache
        self._resolver = resolver
        self._fetcher = fetcher
        self._settings = settings
        self._sink = sink
        self.now = self._now = now
        self._proxy = str(parse_proxy(settings.proxy) or "")
        self._failures = Moments()  # the last fetch that failed
        self._rereads = Moments()  # the last time that every MX was refused
        self._flights: dict[str, list[Deferred[Finding]]] = {}  # who waits for a fetch under way

    async def current(self, domain: str, reread: bool = False) -> Finding:
        """The policy in force now. Nothing but the TXT answer and a look into the cache, as long as the id is the same.

        :param reread: every MX was refused: fetch even if the id is the same, at most once in the retry interval.
        """
        entry = self._unexpired(domain)
        policy_id, reason = await self._record(domain)
        if not policy_id:  # RFC 8461 §3.3, §5.1: a cached policy outlives its record
            return self._cached(entry, reason)
        self._sink.emit(events.STSRecordFound(domain, policy_id))
        if reread:
            reread = self._may_reread(domain, entry)
        if entry is not None and entry.policy_id == policy_id and not reread:
            if self._sink.debug:
                self._sink.emit(events.STSCacheHit(domain))
            return self._cached(entry, "")
        if self._failures.within(domain, self._now(), self._settings.retry_interval):
            return self._cached(entry, "policy fetch failed lately")
        return await self._fetched(domain, policy_id)

    def _may_reread(self, domain: str, entry: CachedPolicy | None) -> bool:
        """Whether a second look may bring anything new: not right after a fetch, nor after the last second look."""
        now, interval = self._now(), self._settings.retry_interval
        fetched_lately = entry is not None and lately(entry.fetched, now, interval)
        if fetched_lately or self._rereads.within(domain, now, interval):
            return False
        self._rereads.note(domain, now)
        return True

    async def renew(self, entry: CachedPolicy) -> None:
        """See whether a cached policy is still the present one, and fetch it anew if not, or if it ends before the next look.

        One fetched in the future is fetched anew too: the clock has gone back, and its end can't be known.
        """
        domain, now = entry.domain, self._now()
        policy_id, _ = await self._record(domain)
        ends_soon = entry.expires - now < 2 * self._settings.refresh_interval
        if policy_id and (policy_id != entry.policy_id or ends_soon or entry.fetched > now):
            await self._fetched(domain, policy_id)
            return
        latest = self.cache.get(domain)
        if latest is not None and policy_id:
            await self.cache.put(attrs.evolve(latest, checked=now))

    async def _record(self, domain: str) -> tuple[str, str]:
        """The id in the TXT record, or "" and why there is none."""
        try:
            answer = await self._resolver.query(f"_mta-sts.{domain}", "TXT")
            if not answer.found:
                return "", "no policy"
            records: list[Any] = list(answer.records)  # TXT; dnspython's types don't show it
            policy_id = read_record([record.strings for record in records])
        except DNSFailure as failure:
            self._sink.emit(events.STSRecordFailed(domain, failure.text))
            return "", f"{LOOKUP_FAILED}: {failure.kind}"
        except RecordError as error:
            self._sink.emit(events.STSRecordInvalid(domain, str(error)))
            return "", "invalid TXT record"
        return (policy_id, "") if policy_id else ("", "no policy")

    def look(self, domain: str) -> Deferred[STSLook]:
        """See everything anew, for a check; no decision is changed by it."""
        return Deferred.fromCoroutine(look(domain, self._resolver, self._fetcher, self._unexpired(domain)))

    def _unexpired(self, domain: str) -> CachedPolicy | None:
        entry = self.cache.get(domain)
        return entry if entry is not None and self._now() < entry.expires else None

    def _cached(self, entry: CachedPolicy | None, reason: str) -> Finding:
        if entry is None:
            return Finding(reason=reason)
        self.cache.use(entry, self._now())
        return Finding(entry.policy, entry.policy_id, "cached")

    # --- fetching --------------------------------------------------------------------------------

    def _fetched(self, domain: str, policy_id: str) -> Deferred[Finding]:
        """What a fetch brings; those who ask meanwhile share it. Who is cancelled leaves, and the fetch goes on."""

        def leave(waiter: Deferred[Finding]) -> None:
            waiters.remove(waiter)

        waiter: Deferred[Finding] = Deferred(leave)
        under_way = self._flights.get(domain)
        waiters = self._flights.setdefault(domain, [])
        waiters.append(waiter)
        if under_way is None:
            Deferred.fromCoroutine(self._fetch(domain, policy_id)).addBoth(self._landed, domain)
        return waiter

    def _landed(self, result: Any, domain: str) -> None:
        for waiter in self._flights.pop(domain):
            waiter.callback(result)  # a Failure, if the fetcher broke its promise, becomes each waiter's own

    async def _fetch(self, domain: str, policy_id: str) -> Finding:
        if self._sink.debug:
            self._sink.emit(events.STSFetchStarted(domain, self._proxy))
        try:
            body = await self._fetcher.fetch(domain)
            policy = _parse(body)
        except FetchError as error:
            return self._fetch_failed(domain, error)
        self._failures.forget(domain)
        self._sink.emit(events.STSPolicyFetched(domain, policy_id, policy.mode, policy.max_age))
        old = self._unexpired(domain)
        if old is not None and old.policy.mode is Mode.ENFORCE and policy.mode is Mode.NONE:
            self._sink.emit(events.STSPolicyWithdrawn(domain, policy_id))
        now = self._now()
        if policy.max_age:
            self.cache.put(
                CachedPolicy(domain, policy_id, policy, fetched=now, checked=now, used=old.used if old else now)
            )
        elif old is not None:
            self.cache.remove(domain)
        return Finding(policy, policy_id, "fetched")

    def _fetch_failed(self, domain: str, error: FetchError) -> Finding:
        now = self._now()
        self._failures.note(domain, now)
        entry = self._unexpired(domain)
        url = error.url or policy_url(domain, self._settings.port)
        kept = entry.policy_id if entry else ""
        self._sink.emit(events.STSFetchFailed(domain, url, error.cause, self._proxy, kept))
        return self._cached(entry, f"policy fetch failed: {error.kind}")


def _parse(body: bytes) -> STSPolicy:
    try:
        return parse_policy(body)
    except PolicyError as error:
        raise FetchError(FetchFault.INVALID_POLICY, f"invalid policy: {error}") from None
