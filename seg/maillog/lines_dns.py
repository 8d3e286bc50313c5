"""Lines of DNS lookups, most of them for Debug."""

from __future__ import annotations

from seg.events.dns import DNSAsked, DNSCached, DNSFailed, DNSSent
from seg.maillog.log_table import Level, LogEntry, LogLine, entry, plain

DEBUG, INFO = Level.DEBUG, Level.INFO

# The vendor names a group of servers here. Ours form one, so the name never changes; QIP tells the server.
_GROUP = "recursive_nameserver0.parent"


def _sent(event: DNSSent) -> tuple[LogLine, ...]:
    name, kind = event.name, event.rdtype
    return (
        (DEBUG, f"DNS query: QN({name}, '{kind}', '{_GROUP}')"),
        (DEBUG, f"DNS query: QIP ({name},'{kind}','{event.server}',{event.timeout:g})"),
    )


def _cached(event: DNSCached) -> tuple[LogLine, ...]:
    expires = int(event.expires * 1_000_000)
    trust = "secure" if event.secure else "insecure"
    records = event.records
    if event.rdtype == "TXT":
        records = tuple(record[1:-1].replace('" "', "") if record[:1] == '"' else record for record in records)
    return ((DEBUG, f"DNS encache ({event.name}, {event.rdtype}, [({expires}L, 0, '{trust}', {records})])"),)


ENTRIES: tuple[LogEntry, ...] = (
    plain(
        DEBUG,
        "DNS query: Q({name}, '{rdtype}')",
        DNSAsked("_mta-sts.domain.com", "TXT"),
        "A question; when no QN and QIP follow, the answer came from the cache.",
    ),
    entry(
        _sent,
        DNSSent("_mta-sts.domain.com", "TXT", "10.10.5.61", 15.0),
        "A question goes to a resolver; the number is the wait for its answer, in seconds.",
        (DEBUG, f"DNS query: QN({{name}}, '{{type}}', '{_GROUP}')"),
        (DEBUG, "DNS query: QIP ({name},'{type}','{server}',{seconds})"),
    ),
    entry(
        _cached,
        DNSCached("_mta-sts.domain.com", "TXT", 1727364219.0, False, ('"v=STSv1; id=12345678598Z;"',)),
        "An answer is kept until the time given (microseconds since 1970); an empty tuple is a denial.",
        (DEBUG, "DNS encache ({name}, {type}, [({expiry}L, 0, '{secure or insecure}', ({records}))])"),
    ),
    plain(
        INFO,
        "DNS Temporary Failure {name} {rdtype} - {kind}",
        DNSFailed("domain.com", "MX", "ServFail"),
        "A lookup failed, and a delivery waits for it.",
    ),
)
