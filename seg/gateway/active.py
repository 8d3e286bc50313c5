"""What the gateway works by, and what moves its messages: the two values of which a reload replaces parts."""

from __future__ import annotations

import attrs

from seg.admin.configuration.texts import Configuration
from seg.auth.sasl_server import SASLServer
from seg.config.destinations import Destinations
from seg.config.schema import Settings
from seg.deliver.assembly import DeliveryServices, SharedState, build_shared
from seg.deliver.scheduler import DeliveryScheduler
from seg.dsn.spool_alerts import SpoolAlerts
from seg.events.runtime import Runtime
from seg.filter.assembly import build_filters
from seg.filter.chain import ConfiguredFilter
from seg.gateway.descriptors import Limits
from seg.policy.assembly import PolicyServices, build_lookups
from seg.queue.assembly import QueueServices
from seg.queue.ids import MessageIds
from seg.tls.parameters import outbound
from seg.tls.roots import load_roots


@attrs.define
class ActiveConfiguration:
    """What the gateway works by; a commit replaces it part by part, and whoever asks gets the new."""

    settings: Settings
    destinations: Destinations
    lookups: PolicyServices
    ongoing: SharedState
    limits: Limits
    filters: tuple[ConfiguredFilter, ...] = ()
    sasl: SASLServer | None = None


@attrs.define
class MailServices:
    """What takes messages, keeps them, and sends them."""

    counters: MessageIds
    queueing: QueueServices
    engine: DeliveryScheduler
    sending: DeliveryServices
    alerts: SpoolAlerts


def build_active(
    runtime: Runtime, configuration: Configuration, limits: Limits, sasl: SASLServer | None
) -> ActiveConfiguration:
    """What the gateway works by at its start. Reads the files that only root may read. Blocks.

    :raises ConfigurationError: a certificate, a root, a provider or a filter can't be used.
    """
    settings, destinations = configuration.settings, configuration.destinations
    roots = load_roots(settings.tls.ca_file, settings.tls.extra_ca_file)
    lookups = build_lookups(runtime, settings, roots)
    filters = build_filters(runtime, settings)
    shared = build_shared(runtime)
    own = shared.identities.prepared(destinations.certificates(), outbound(settings.tls), outdated=True)
    shared.identities.replace(own)
    return ActiveConfiguration(settings, destinations, lookups, shared, limits, filters, sasl)
