"""The parts of the gateway that a configuration reaches, each with how it gets ready for a new one."""

from __future__ import annotations

import attrs

from seg.admin.configuration.texts import Configuration
from seg.auth.assembly import build_sasl_server
from seg.config.schema import Settings
from seg.events.runtime import Runtime
from seg.filter.assembly import build_filters
from seg.gateway.active import ActiveConfiguration, MailServices
from seg.gateway.assembly import Gateway
from seg.gateway.mail import build_receiving, build_sending
from seg.gateway.reload import IReloadable, PreparedPart
from seg.policy.assembly import build_lookups
from seg.tls.parameters import inbound, outbound
from seg.tls.roots import RootStore, load_roots


@attrs.frozen
class ReloadableParts:
    """The running gateway, as what takes configurations."""

    gateway: Gateway
    mail: MailServices

    @property
    def all(self) -> tuple[IReloadable, ...]:
        """Each of them, in the order in which they change."""
        return (
            self.settings,
            self.filters,
            self.sasl,
            self.identities,
            self.lookups,
            self.sending,
            self.queue,
            self.metrics_page,
            self.admin,
            self.limits,
            self.listeners,
            self.exemptions,
            self.logs,
            self.scheduler,
        )

    @property
    def _now(self) -> ActiveConfiguration:
        return self.gateway.now

    @property
    def _runtime(self) -> Runtime:
        return self.gateway.runtime

    async def settings(self, new: Configuration) -> PreparedPart:
        """What all who ask for settings get."""

        def activate() -> None:
            self._now.settings, self._now.destinations = new.settings, new.destinations

        return PreparedPart(activate)

    async def filters(self, new: Configuration) -> PreparedPart:
        """What judges messages before their 250."""
        if self._now.settings.filter == new.settings.filter:
            return PreparedPart()
        filters = build_filters(self._runtime, new.settings)
        return PreparedPart(lambda: setattr(self._now, "filters", filters))

    async def sasl(self, new: Configuration) -> PreparedPart:
        """Where clients authenticate."""
        if self._now.sasl is not None and self._now.settings.auth == new.settings.auth:
            return PreparedPart()
        gateway = self.gateway
        sasl = build_sasl_server(self._runtime, new.settings, gateway.files.settings, gateway.backoff)
        return PreparedPart(lambda: setattr(self._now, "sasl", sasl))

    async def identities(self, new: Configuration) -> PreparedPart:
        """The certificates that we show to servers."""
        known, shown = self._now.ongoing.identities, new.destinations.certificates()
        identities = await self._runtime.in_thread(lambda: known.prepared(shown, outbound(new.settings.tls)))
        return PreparedPart(lambda: known.replace(identities))

    async def lookups(self, new: Configuration) -> PreparedPart:
        """Other resolvers, roots or providers; the policies known stay."""
        settings = new.settings
        if not looks_up_otherwise(self._now.settings, settings):
            return PreparedPart()
        roots: RootStore = await self._runtime.in_thread(
            lambda: load_roots(settings.tls.ca_file, settings.tls.extra_ca_file)
        )
        lookups = build_lookups(self._runtime, settings, roots, self._now.lookups)

        def activate() -> None:
            former, self._now.lookups = self._now.lookups, lookups
            lookups.probe.start()
            lookups.refresh.start()
            former.probe.stop()
            former.refresh.stop()

        return PreparedPart(activate)

    async def sending(self, new: Configuration) -> PreparedPart:
        """What attempts use; connections that are kept open end when it changes."""
        old = self._now.settings
        if not looks_up_otherwise(old, new.settings) and old.delivery == new.settings.delivery:
            return PreparedPart()

        def activate() -> None:
            former, self.mail.sending = self.mail.sending, build_sending(self.gateway, self.mail.counters)
            former.pool.close()

        return PreparedPart(activate)

    async def queue(self, new: Configuration) -> PreparedPart:
        """What is kept in memory, and quoted in reports."""
        return PreparedPart(lambda: self.mail.queueing.queue.use(new.settings.queue))

    async def metrics_page(self, new: Configuration) -> PreparedPart:
        """The page of metrics at its address."""
        port = self.gateway.metrics_port
        page = port.prepare(new.settings.metrics)
        return PreparedPart(lambda: port.use(page), page.discard)

    async def admin(self, new: Configuration) -> PreparedPart:
        """The admin API over TLS, and whose the control socket is."""
        admin = self.gateway.admin
        prepared = await self._runtime.in_thread(lambda: admin.prepare(new.settings))
        if prepared is None:
            return PreparedPart()
        admin.bind_prepared(prepared)
        return PreparedPart(lambda: admin.use(prepared), prepared.discard)

    async def limits(self, new: Configuration) -> PreparedPart:
        """Connections in and out, as far as the descriptors suffice."""

        def activate() -> None:
            limits = self._now.limits = self.gateway.descriptors.use(new.settings)
            self.mail.engine.max_active = limits.connections_out
            self.mail.engine.attempt_timeout = new.settings.delivery.attempt_timeout
            names = (listener.name for listener in new.settings.listener)
            self.gateway.connections.limit(limits.connections_in, limits.connections_in_of_one, names)

        return PreparedPart(activate)

    async def listeners(self, new: Configuration) -> PreparedPart:
        """Where clients come in, and by which rules."""
        listeners, settings = self.gateway.listeners, new.settings
        plan = await self._runtime.in_thread(lambda: listeners.plan(settings.listener, inbound(settings.tls)))
        listeners.bind(plan)
        return PreparedPart(lambda: listeners.serve(plan, build_receiving(self.gateway, self.mail)), plan.discard)

    async def exemptions(self, new: Configuration) -> PreparedPart:
        """When exemptions from policies begin and end."""
        return PreparedPart(lambda: self.gateway.watches.exemptions.watch(new.destinations))

    async def logs(self, new: Configuration) -> PreparedPart:
        """What is logged, and where."""
        return PreparedPart(lambda: self.gateway.logs.change(new.settings.log, new.settings.log_subscription))

    async def scheduler(self, new: Configuration) -> PreparedPart:
        """Whoever waits for a limit may have another."""
        return PreparedPart(self.mail.engine.resume)


def looks_up_otherwise(old: Settings, new: Settings) -> bool:
    """Whether what finds out how a destination is reached has to be made anew."""
    return (
        old.dns != new.dns
        or old.tls != new.tls
        or old.mta_sts != new.mta_sts
        or old.delivery.providers != new.delivery.providers
        or old.delivery.allow_loopback != new.delivery.allow_loopback
        or old.delivery.allow_private != new.delivery.allow_private
    )
