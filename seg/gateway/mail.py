"""The parts that move messages, put together once the folders are there: they touch the spool when they are made."""

from __future__ import annotations

import random
from collections.abc import Callable

from seg.config.destinations import LimitPer
from seg.config.paths import spool_path, var_path
from seg.config.schema import QueueSettings
from seg.deliver.assembly import DeliveryServices, build_delivery
from seg.deliver.attempt import Attempt
from seg.deliver.rate_limits import UNLIMITED, RateLimit
from seg.deliver.scheduler import DeliveryScheduler
from seg.dsn.alerts import TLSAlerts
from seg.dsn.composer import ReportComposer
from seg.dsn.postmaster_mail import PostmasterMail
from seg.dsn.spool_alerts import SpoolAlerts
from seg.events.memory import room_for_queue
from seg.gateway.active import MailServices
from seg.gateway.assembly import Gateway
from seg.mail.ids import IMessageIds
from seg.maildrop.assembly import build_pickup
from seg.maildrop.pickup import Pickup
from seg.queue.assembly import QueueServices
from seg.queue.commit import GroupCommitter
from seg.queue.ids import MessageIds
from seg.queue.interfaces import IQueue, Lease
from seg.queue.queue import Queue
from seg.queue.schedule import Schedule, Schedules
from seg.queue.store import SpoolStore
from seg.receive.assembly import ReceiveServices, listener_maker
from seg.receive.listeners import MakeFactory


def build_mail(gateway: Gateway) -> MailServices:
    """Queue and delivery. Makes the spool's folders and counters.

    :raises OSError: the spool can't be used.
    """
    runtime, now, shared = gateway.runtime, gateway.now, gateway.now.ongoing
    spool = spool_path(now.settings)
    known = (var_path(now.settings) / "totals.json").exists()  # then the gateway ran before
    ids = MessageIds(spool / "counters.json", runtime.sink, known=known)
    queueing = _build_queue(gateway, ids)
    queue = queueing.queue
    own = PostmasterMail(queue, ids, runtime)
    shared.alert = TLSAlerts(own, runtime.sink, runtime.reactor.seconds).failed

    def attempt(lease: Lease) -> Attempt:
        return mail.sending.attempt(lease)

    engine = _build_scheduler(gateway, queue, attempt)
    shared.lines.on_room = engine.waiters.freed
    alerts = SpoolAlerts(own, runtime.sink, runtime.reactor)
    mail = MailServices(ids, queueing, engine, build_sending(gateway, ids), alerts)
    return mail


def _build_queue(gateway: Gateway, ids: MessageIds) -> QueueServices:
    runtime, now, sink, reactor = gateway.runtime, gateway.now, gateway.runtime.sink, gateway.runtime.reactor

    def settings_of(domain: str, profile: str) -> QueueSettings:
        return now.destinations.bounce(domain, now.settings.queue, profile)

    composer = ReportComposer(runtime.hostname, runtime.postmaster, runtime.posix, gateway.languages, settings_of)
    schedules = Schedules(Schedule(now.settings.queue, random.random), settings_of)
    store = SpoolStore(spool_path(now.settings), GroupCommitter(reactor), ids, sink, reactor)
    queue = Queue(store, schedules, composer, ids, sink, reactor, gateway.local.readdressed)
    queue.room.most = room_for_queue()
    return QueueServices(queue, sink, reactor)


def _build_scheduler(gateway: Gateway, queue: IQueue, attempt: Callable[[Lease], Attempt]) -> DeliveryScheduler:
    """What gives destinations their turns, by the limits in force."""
    runtime, now = gateway.runtime, gateway.now

    def limit(domain: str) -> int:
        profile = now.destinations.profile(domain)
        return profile.concurrent_connections if profile.limit_per is LimitPer.DOMAIN else now.limits.connections_out

    def rate(domain: str) -> RateLimit:
        profile = now.destinations.profile(domain)
        if profile.limit_per is not LimitPer.DOMAIN:
            return UNLIMITED
        return RateLimit(profile.recipient_limit, profile.recipient_minutes)

    engine = DeliveryScheduler(queue, attempt, limit, now.limits.connections_out, runtime.sink, runtime.reactor)
    engine.rate = rate
    engine.attempt_timeout = now.settings.delivery.attempt_timeout
    return engine


def build_sending(gateway: Gateway, ids: IMessageIds) -> DeliveryServices:
    """What sends mail by what is in force now."""
    now = gateway.now
    return build_delivery(gateway.runtime, now.settings, lambda: now.destinations, now.lookups, ids, now.ongoing)


def build_receiving(gateway: Gateway, mail: MailServices) -> MakeFactory:
    """Makes listeners by what is in force now."""
    now = gateway.now
    services = ReceiveServices(
        runtime=gateway.runtime,
        queue=mail.queueing.queue,
        ids=mail.counters,
        connections=gateway.connections,
        rates=gateway.rates,
        work=gateway.listeners.work,
        turns=gateway.listeners.turns,
        resolver=now.lookups.for_clients,
        sasl=now.sasl,
        local=gateway.local.table,
    )
    return listener_maker(now.settings, services, now.filters)


def build_maildrop(gateway: Gateway, mail: MailServices) -> Pickup:
    """What takes the mail that programs of this machine dropped."""
    now, local = gateway.now, gateway.local

    def has_name(name: str) -> bool:
        return local.table().has_name(name)

    return build_pickup(gateway.runtime, lambda: now.settings, mail.queueing.queue, mail.counters, has_name)
