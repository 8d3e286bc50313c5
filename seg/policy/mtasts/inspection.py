"""What can be seen of a domain's MTA-STS just now, for whoever checks it: nothing is decided, kept or remembered."""

from __future__ import annotations

from typing import Any

import attrs

from seg.dns.answer import DNSFailure
from seg.dns.interfaces import IResolver
from seg.mail.errors import LocalFault
from seg.policy.mtasts.answer import FetchTrace
from seg.policy.mtasts.entry import CachedPolicy
from seg.policy.mtasts.errors import FetchError, OwnFetchFault, PolicyError, RecordError
from seg.policy.mtasts.interfaces import IPolicyFetcher
from seg.policy.mtasts.policy import STSPolicy, parse_policy
from seg.policy.mtasts.record import read_record, shown


@attrs.frozen
class STSInspection:
    """Everything that can be seen from here; an error is told as one, never as "none"."""

    records: tuple[str, ...] = ()  # the TXT records as they stand
    ttl: int | None = None  # seconds, of the records; None without any
    record_error: str = ""  # the DNS failed, or the records can't be used
    record_failed: bool = False  # it is the DNS that failed: nothing is known
    policy_id: str = ""  # "" = there is no usable record
    cached: CachedPolicy | None = None  # unexpired: what deliveries use now
    fetch: FetchTrace | None = None  # a fetch of just now, or how far it came; None without a usable record
    fetch_error: FetchError | None = None  # why the fetch failed
    policy: STSPolicy | None = None  # that it brought
    policy_error: str = ""  # why what it brought is no policy


async def inspect_policy(
    domain: str, resolver: IResolver, fetcher: IPolicyFetcher, cached: CachedPolicy | None
) -> STSInspection:
    """Ask for the record, and fetch the policy if there is one, whatever is cached."""
    try:
        answer = await resolver.query(f"_mta-sts.{domain}", "TXT")
    except (DNSFailure, LocalFault) as failure:
        return STSInspection(record_error=failure.text, record_failed=True, cached=cached)
    found: list[Any] = list(answer.records) if answer.found else []  # TXT; dnspython's types don't show it
    ttl = int(answer.ttl) if found else None
    seen = STSInspection(tuple(shown(record.strings) for record in found), ttl, cached=cached)
    try:
        policy_id = read_record([record.strings for record in found])
    except RecordError as error:
        return attrs.evolve(seen, record_error=str(error))
    if not policy_id:
        return seen
    seen = attrs.evolve(seen, policy_id=policy_id)
    try:
        fetched = await fetcher.look(domain)
        seen = attrs.evolve(seen, fetch=fetched)
        return attrs.evolve(seen, policy=parse_policy(fetched.body))
    except FetchError as error:
        return attrs.evolve(seen, fetch=error.met, fetch_error=error)
    except OwnFetchFault as fault:
        return attrs.evolve(seen, fetch=fault.met, fetch_error=FetchError(fault.fault, fault.cause))
    except PolicyError as error:
        return attrs.evolve(seen, policy_error=f"invalid policy: {error}")
