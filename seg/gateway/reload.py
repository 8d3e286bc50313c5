"""A new configuration put into force while mail flows: all that can fail is done before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from seg.admin.configuration.texts import Configuration
from seg.admin.listeners import APIListeners, PreparedAPIListener
from seg.admin.metrics_page import MetricsPort, PreparedPage
from seg.auth.sasl_server import SASLServer
from seg.common.errors import ConfigurationError
from seg.common.threads import in_thread_of
from seg.config.schema import Settings
from seg.deliver.exemptions import ExemptionTimer
from seg.events.base import IEventSink
from seg.filter.chain import ConfiguredFilter
from seg.gateway.assembly import (
    ActiveConfiguration,
    MailServices,
    PolicyServices,
    wire_filters,
    wire_lookups,
    wire_sending,
)
from seg.gateway.descriptors import Descriptors
from seg.maillog.logs import MailLogs
from seg.receive.connection_counter import ConnectionCounter
from seg.receive.listeners import ListenerPlan, Listeners, MakeFactory
from seg.tls.context import ClientIdentity
from seg.tls.identities import Files
from seg.tls.parameters import inbound, outbound
from seg.tls.roots import RootStore, load_roots

# Sections of seg.toml, or keys of one, that are read at the start only.
AT_THE_START = ("gateway", "control.socket")


@attrs.frozen
class ReloadableParts:
    """The running gateway's parts that a configuration reaches."""

    now: ActiveConfiguration
    mail: MailServices
    reception: Listeners
    census: ConnectionCounter
    descriptors: Descriptors
    exemptions: ExemptionTimer
    logs: MailLogs
    metrics: MetricsPort
    entrances: APIListeners
    factory: Callable[[], MakeFactory]  # makes listeners by what is in force
    sasl: Callable[[Settings], SASLServer | None]  # makes where clients authenticate
    hostname: str
    sink: IEventSink
    reactor: Any


class Reloader:
    """Takes configurations (`seg.admin.configuration.control.IReloader`)."""

    def __init__(self, parts: ReloadableParts) -> None:
        self._parts = parts
        self._in_thread = in_thread_of(parts.reactor)

    async def prepare(self, configuration: Configuration) -> PreparedReload:
        """Read certificates and roots, bind ports, make what looks things up.

        :raises ConfigurationError: it can't work; nothing is changed.
        """
        parts, settings = self._parts, configuration.settings
        plan = await self._in_thread(lambda: parts.reception.plan(settings.listener, inbound(settings.tls)))
        entrance = await self._in_thread(lambda: parts.entrances.prepare(settings))
        lookups = parts.now.lookups
        if _looks_up_otherwise(parts.now.settings, settings):
            roots: RootStore = await self._in_thread(
                lambda: load_roots(settings.tls.ca_file, settings.tls.extra_ca_file)
            )
            lookups = wire_lookups(settings, roots, parts.sink, parts.reactor, lookups)
        known = parts.now.ongoing.identities
        shown = configuration.destinations.certificates()
        identities = await self._in_thread(lambda: known.prepared(shown, outbound(settings.tls)))
        filters = parts.now.filters
        if parts.now.settings.filter != settings.filter:
            filters = wire_filters(settings, parts.hostname, parts.sink, parts.reactor)
        sasl = parts.now.sasl
        if sasl is None or parts.now.settings.auth != settings.auth:
            sasl = parts.sasl(settings)
        metrics = parts.metrics.prepare(settings.metrics)
        ready = PreparedReload(parts, configuration, plan, lookups, identities, filters, sasl, metrics, entrance)
        try:  # the last things that can fail
            if entrance is not None:
                parts.entrances.bind_prepared(entrance)
            parts.reception.bind(plan)
        except ConfigurationError:
            ready.discard()
            raise
        return ready


@attrs.frozen
class PreparedReload:
    """A configuration that only waits to be put into force."""

    _parts: ReloadableParts
    _configuration: Configuration
    _plan: ListenerPlan
    _lookups: PolicyServices
    _identities: Mapping[Files, ClientIdentity]
    _filters: tuple[ConfiguredFilter, ...]
    _sasl: SASLServer | None
    _metrics: PreparedPage
    _entrance: PreparedAPIListener | None

    def discard(self) -> None:
        """Leave all as it is."""
        self._plan.discard()
        self._metrics.discard()
        if self._entrance is not None:
            self._entrance.discard()

    def activate(self) -> Sequence[str]:
        """Work by it. Returns the settings that wait for the next start."""
        parts, new = self._parts, self._configuration
        now, old = parts.now, parts.now.settings
        now.settings, now.destinations, now.filters = new.settings, new.destinations, self._filters
        now.sasl = self._sasl
        now.ongoing.identities.replace(self._identities)
        otherwise = self._lookups is not now.lookups
        if otherwise:
            self._look_up_otherwise()
        if otherwise or old.delivery != new.settings.delivery:
            former = parts.mail.sending
            parts.mail.sending = wire_sending(now, parts.hostname, parts.mail.counters, parts.sink, parts.reactor)
            former.pool.close()
        parts.mail.queue.use(new.settings.queue)
        parts.metrics.use(self._metrics)
        if self._entrance is not None:
            parts.entrances.use(self._entrance)
        limits = now.limits = parts.descriptors.use(new.settings)
        parts.mail.engine.max_active = limits.connections_out
        parts.mail.engine.attempt_timeout = new.settings.delivery.attempt_timeout
        names = (listener.name for listener in new.settings.listener)
        parts.census.limit(limits.connections_in, limits.connections_in_of_one, names)
        parts.reception.serve(self._plan, parts.factory())
        parts.exemptions.watch(new.destinations)
        parts.logs.change(new.settings.log, new.settings.log_subscription)
        parts.mail.engine.resume()  # whoever waits for a limit may have another
        return waiting_for_a_start(old, new.settings)

    def _look_up_otherwise(self) -> None:
        """Other resolvers, roots or providers; the policies known stay."""
        now = self._parts.now
        former, now.lookups = now.lookups, self._lookups
        now.lookups.probe.start()
        now.lookups.refresh.start()
        former.probe.stop()
        former.refresh.stop()


def _looks_up_otherwise(old: Settings, new: Settings) -> bool:
    """Whether what finds out how a destination is reached has to be made anew."""
    return (
        old.dns != new.dns
        or old.tls != new.tls
        or old.mta_sts != new.mta_sts
        or old.delivery.providers != new.delivery.providers
        or old.delivery.allow_loopback != new.delivery.allow_loopback
        or old.delivery.allow_private != new.delivery.allow_private
    )


def waiting_for_a_start(old: Settings, new: Settings) -> tuple[str, ...]:
    """What differs and is read at the start only, as section or section.key."""
    waiting = []
    for place in AT_THE_START:
        section, _, key = place.partition(".")
        before, after = getattr(old, section), getattr(new, section)
        if (getattr(before, key) != getattr(after, key)) if key else before != after:
            waiting.append(place)
    return tuple(waiting)
