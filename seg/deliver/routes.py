"""Where mail for a domain goes next: by the operator's SMTP routes, else by the domain's MX records."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from random import Random

import attrs
from zope.interface import implementer

from seg.common.concurrently import side_by_side
from seg.config.destinations import IPPreference, NextHop, SMTPRoute
from seg.config.routes_file import DISCARD, next_hop
from seg.config.schema import Delivery
from seg.deliver.interfaces import IRouter
from seg.deliver.plan import AttemptPlan
from seg.dns.addresses import NoAddress, SelfAddresses, find_host
from seg.dns.answer import DNSFailure
from seg.dns.interfaces import IResolver
from seg.dns.routing import mx_route, parse_literal
from seg.events.base import IEventSink
from seg.events.dns import DNSFailed
from seg.mail.address import to_ascii
from seg.mail.causes import CauseKind
from seg.mail.errors import DeliveryError, Temporary
from seg.mail.hosts import IPAddress, MXHost, Route, RouteKind, SocketPath

SOCKET = "unix:"
Hosts = list[MXHost] | str  # of one hop; a text says why there are none


@implementer(IRouter)
class Router:
    """Finds the next hops of a domain.

    :param plan: what holds for a domain now.
    :param hostname: the gateway's name, to see when mail would come back.
    :param own_addresses: those of this machine.
    :param random: breaks ties of preference.
    """

    def __init__(
        self,
        resolver: IResolver,
        plan: Callable[[str], AttemptPlan],
        settings: Delivery,
        hostname: str,
        own_addresses: frozenset[IPAddress],
        random: Random,
        sink: IEventSink,
    ) -> None:
        self._resolver = resolver
        self._plan = plan
        self._settings = settings
        self._own = SelfAddresses(to_ascii(hostname), own_addresses, settings.allow_loopback, settings.allow_private)
        self._random = random
        self._sink = sink

    async def route(self, domain: str, via: str = "") -> Route:
        """The next hops (`IRouter.route`)."""
        plan = self._plan(domain)
        preference = plan.profile.ip_preference
        smtp_route = _redirection(domain, via) if via else plan.smtp_route
        if smtp_route is not None:
            return await self._by_table(domain, smtp_route, preference, via)
        try:
            return await self._by_mx(domain, preference, self._settings.port)
        except DNSFailure as failure:
            self._sink.emit(DNSFailed(failure.name, failure.rdtype, failure.kind))
            raise

    async def _by_mx(self, domain: str, preference: IPPreference, port: int) -> Route:
        return await mx_route(
            self._resolver, domain, preference, self._own, port, self._settings.max_hosts, self._random
        )

    async def _by_table(self, domain: str, smtp_route: SMTPRoute, preference: IPPreference, via: str) -> Route:
        """The operator's hops, and never the domain's MX instead: with none to be reached the mail waits.

        They may lead back to this machine (a filter on another port), so that no loop is looked for here.
        """
        if smtp_route.discard:
            return Route(domain, RouteKind.DISCARD, (), canonical=domain)
        ordered = sorted(smtp_route.hops, key=lambda hop: (hop.preference, self._random.random()))
        hops = ordered[: self._settings.max_hosts]
        outcomes = await side_by_side([self._hop(hop, preference) for hop in hops])
        hosts = [host for outcome in outcomes if not isinstance(outcome, str) for host in outcome]
        if not hosts:
            # A slip in the table or in the operator's own DNS isn't the sender's fault: even NXDOMAIN is
            # temporary.
            reasons = "; ".join(outcome for outcome in outcomes if isinstance(outcome, str))
            what = f"Redirection of {domain} to {via}" if via else f"SMTP route for {domain}"
            raise Temporary(
                "4.4.4", f"{what} can't be used: {reasons or 'it names no host'}", cause=CauseKind.ROUTE_UNUSABLE
            )
        kept = tuple(attrs.evolve(host, manner=smtp_route.manner) for host in hosts[: self._settings.max_hosts])
        return Route(domain, RouteKind.SMTP_ROUTE, kept, canonical=domain)

    async def _hop(self, hop: NextHop, preference: IPPreference) -> Hosts:
        if hop.host.startswith(SOCKET):
            path = SocketPath(hop.host.removeprefix(SOCKET))
            return [MXHost(path, hop.preference, (path,), 0, expanded=path)]
        address = _address_of(hop.host)
        if address is not None:
            name = str(address)
            return [MXHost(name, hop.preference, (address,), hop.port, expanded=name)]
        name = to_ascii(hop.host.strip("[]"))
        if hop.use_mx and not hop.host.startswith("["):
            return await self._mx_of(name, hop, preference)
        found = await find_host(
            self._resolver, name, preference=preference, rank=hop.preference, port=hop.port, mx_secure=False
        )
        return f"{found.host} {found.reason}" if isinstance(found, NoAddress) else [found]

    async def _mx_of(self, name: str, hop: NextHop, preference: IPPreference) -> Hosts:
        """The MX hosts of a hop, in the place that the table gives the hop."""
        try:
            route = await self._by_mx(name, preference, hop.port)
        except DeliveryError as error:
            return error.text
        return [attrs.evolve(host, preference=hop.preference) for host in route.hosts]


def _redirection(domain: str, via: str) -> SMTPRoute:
    """The operator's word for some messages (or that of the aliases, for those whom nobody gets), as if it stood in the table.

    :raises Temporary: it came out of a file that was edited by hand, and names no host.
    """
    if via == DISCARD:
        return SMTPRoute(domain, discard=True)
    try:
        return SMTPRoute(domain, (next_hop(via),))
    except ValueError as error:
        text = f"redirected to what is no host: {error} (seg redirectrecipients --normal undoes it)"
        raise Temporary("4.4.4", text, cause=CauseKind.ROUTE_UNUSABLE) from None


def _address_of(host: str) -> IPAddress | None:
    """The address that a hop names, bare or in brackets; None for a name."""
    try:
        return parse_literal(host) or ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
