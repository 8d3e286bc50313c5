"""Who gets mail for this machine: by the aliases, by ``local_users``, and for those who must always be reached the postmaster. Pure."""

from __future__ import annotations

import enum

import attrs

from seg.config.destinations import Destinations
from seg.config.routes_file import DISCARD
from seg.config.schema import GatewaySettings
from seg.local.aliases import Aliases, plain_name
from seg.mail.address import domain_of, local_part, to_ascii
from seg.mail.envelope import Envelope, Recipient

POSTMASTER, ROOT = "postmaster", "root"
# They always reach somebody (RFC 5321 §4.5.1, RFC 2142); what programs of the system send goes to root.
ALWAYS = frozenset({POSTMASTER, "abuse", ROOT, "mailer-daemon"})
MOST_ADDRESSES = 10_000  # that one address stands for


class NoTaker(enum.Enum):
    """Why nobody takes mail for an address."""

    UNKNOWN = "nobody here has this name"
    BROKEN = "its alias can't be used"  # a fault of ours: to be tried again


@attrs.frozen
class Takers:
    """Who gets the mail for one address of this machine."""

    addresses: tuple[str, ...] = ()
    discards: bool = False
    none: NoTaker | None = None  # nobody, and why
    fault: str = ""  # of the alias, with its line


@attrs.frozen
class LocalTable:
    """All that is known at one time."""

    domains: frozenset[str]  # of this machine, as `seg.mail.address.domain_of` gives them
    postmaster: str  # gateway.postmaster; "" = not set
    local_users: str  # where mail for names without alias goes; "" = not set
    aliases: Aliases = attrs.field(factory=Aliases)
    unreadable: str = ""  # why the aliases aren't known
    strict: bool = False  # the operator has said something of local mail: who isn't known here is nobody
    elsewhere: bool = False  # there is a smart host, which may know who isn't known here

    def is_local(self, address: str) -> bool:
        """Whether an address is of this machine; one without domain is."""
        return "@" not in address or domain_of(address) in self.domains

    def has_name(self, name: str) -> bool:
        """Whether a word is the name of somebody here, as far as the aliases tell, or of one who must always be reached."""
        return name.lower() in ALWAYS or bool(self.aliases.key(name.lower()))

    def takers(self, address: str) -> Takers:
        """Who gets mail for a local address. Ways that lead back end there; each address stands once in what comes out."""
        name = plain_name(address)
        if self.unreadable and name not in ALWAYS:
            return Takers(none=NoTaker.BROKEN, fault=self.unreadable)
        found: dict[tuple[str, str], str] = {}
        discards, fault = False, ""
        seen: set[str] = set()
        waiting = [address]
        last = [self.local_users, self.postmaster, POSTMASTER] if name in ALWAYS else []
        while len(found) < MOST_ADDRESSES and (waiting or (last and not found and not discards)):
            each = waiting.pop() if waiting else last.pop()
            if not each or not self.is_local(each):
                if each:
                    found.setdefault((local_part(each), domain_of(each)), each)
                continue
            name = plain_name(each)
            key = self.aliases.key(name)
            if (key or name) in seen:
                continue  # another way led there
            seen.add(key or name)
            alias = self.aliases.entries.get(key)
            if alias is not None:
                discards = discards or alias.discards
                waiting += reversed(alias.targets)
            elif key:
                fault = fault or self.aliases.broken[key]
            if alias.own if alias is not None else (not key or name in ALWAYS):
                waiting.append(self._of_user(key or name))
        if found or discards:
            return Takers(tuple(found.values()), discards)
        fault = fault or self.unreadable
        return Takers(none=NoTaker.BROKEN if fault else NoTaker.UNKNOWN, fault=fault)

    def _of_user(self, name: str) -> str:
        """Where mail for a user goes whom no alias leads elsewhere; "" = nowhere."""
        if name == POSTMASTER:
            return self.postmaster or self.local_users
        if name in ALWAYS and name != ROOT:
            return POSTMASTER
        return self.local_users or (POSTMASTER if name == ROOT else "")

    def readdressed(self, envelope: Envelope) -> tuple[Envelope, tuple[str, ...]]:
        """The envelope with those in the place of local addresses who get their mail, and a line for the log on each.

        Nothing ends in nothing: where an alias can't be used, or a report's recipient is unknown here, the postmaster gets the message.
        """
        if not any(self.is_local(each.address) for each in envelope.recipients):
            return envelope, ()
        kept: dict[object, Recipient] = {}
        told = []
        next_rid = max(each.rid for each in envelope.recipients) + 1
        for each in envelope.recipients:
            takers = self._of(each, envelope) if self.is_local(each.address) else None
            if takers is None:
                kept.setdefault(_same(each), each)
                continue
            told.append(f"{each.address} goes to {_shown(takers)}")
            followers = [attrs.evolve(each, address=address) for address in takers.addresses]
            if not followers:
                followers = [attrs.evolve(each, via=DISCARD)]
            for number, follower in enumerate(followers):
                if number:
                    follower = attrs.evolve(follower, rid=next_rid)
                    next_rid += 1
                kept.setdefault(_same(follower), follower)
        return attrs.evolve(envelope, recipients=tuple(kept.values())), tuple(told)

    def _of(self, recipient: Recipient, envelope: Envelope) -> Takers | None:
        """None: it stays as it is."""
        takers = self.takers(recipient.address)
        if takers.none is None:
            return takers
        if takers.none is NoTaker.BROKEN or not envelope.reverse_path:
            postmaster = self.takers(POSTMASTER)
            return None if postmaster.none else postmaster
        return None


def _same(recipient: Recipient) -> object:
    return (local_part(recipient.address), domain_of(recipient.address), recipient.via)


def _shown(takers: Takers) -> str:
    first = ", ".join(takers.addresses[:10]) or "nobody (/dev/null)"
    return first if len(takers.addresses) <= 10 else f"{first} and {len(takers.addresses) - 10} more"


def local_domains(settings: GatewaySettings, hostname: str, destinations: Destinations) -> frozenset[str]:
    """The domains of this machine. One with an SMTP route of its own is served elsewhere, whatever a smart host takes."""
    smart_host = destinations.routes.get("ALL")
    names = map(to_ascii, (hostname, *settings.local_domains))
    return frozenset(each for each in names if destinations.route(each) in (None, smart_host))


def local_table(
    settings: GatewaySettings, hostname: str, destinations: Destinations, aliases: Aliases, unreadable: str = ""
) -> LocalTable:
    """What a configuration says of local mail."""
    smart_host = destinations.routes.get("ALL")
    domains = local_domains(settings, hostname, destinations)
    elsewhere = smart_host is not None and not smart_host.use_dns
    strict = bool(aliases.entries or aliases.broken or settings.local_users or settings.local_domains)
    return LocalTable(domains, settings.postmaster, settings.local_users, aliases, unreadable, strict, elsewhere)
