"""``twistd seg``: in which order the gateway's parts begin, and how all of them end.

`seg.gateway.options` reads and checks the configuration before; `seg.gateway.assembly` and `seg.gateway.mail` put the parts together.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from seg.admin.configuration.control import ChangeControl
from seg.admin.configuration.texts import Configuration, ConfigurationTexts, located
from seg.common.clock import SteadyClock
from seg.common.errors import ConfigurationError
from seg.common.garbage import GarbageCollection
from seg.common.lock import FolderLocks
from seg.config.ehlo_names import unfit_names
from seg.config.find import ConfigurationFiles
from seg.config.paths import log_path, spool_path, var_path
from seg.events.gateway import Fault, GatewayStarted, GatewayStopping
from seg.events.policy import STSSucceeded
from seg.gateway import sdnotify as supervisor
from seg.gateway import startup
from seg.gateway.active import MailServices
from seg.gateway.api import build_operation
from seg.gateway.assembly import build_gateway
from seg.gateway.clockwatch import last_written
from seg.gateway.folders import have_folders
from seg.gateway.mail import build_mail, build_maildrop, build_receiving
from seg.gateway.options import Options as Options
from seg.gateway.options import not_started
from seg.gateway.reload import Reloader
from seg.gateway.reloadable import ReloadableParts
from seg.gateway.sighup import reload_on_sighup
from seg.maildrop.pickup import Pickup
from seg.tls.parameters import inbound
from seg.version import __version__

SESSION_GRACE = 5.0  # seconds that clients in the middle of a message get when we stop
ATTEMPT_GRACE = 10.0  # the same for deliveries under way


def makeService(options: Options) -> GatewayService:
    """The gateway as a service; called by twistd."""
    from twisted.internet import reactor

    reactor.seconds = SteadyClock()  # type: ignore[method-assign]
    try:
        return GatewayService(options.configuration, options.texts, options.files, reactor)
    except ConfigurationError as error:
        raise not_started(located(error, options.texts, options.files)) from None


class GatewayService(Service):
    """The running gateway.

    Files that only root may read (keys) are read when it is made, and ports are bound by `privilegedStartService`; all
    else waits for `startService`, which twistd calls as the user of ``--uid``.
    """

    _bound = False

    def __init__(
        self, configuration: Configuration, texts: ConfigurationTexts, files: ConfigurationFiles, reactor: Any
    ) -> None:
        settings = self.settings = configuration.settings  # as at the start; what is in force now is `Gateway.now`
        self._configuration = configuration
        self._texts = texts
        self._files = files
        self._gateway = build_gateway(configuration, files, reactor)
        self._plan = self._gateway.listeners.plan(settings.listener, inbound(settings.tls), outdated=True)
        self._garbage = GarbageCollection(reactor, self._messages)
        self._locks = FolderLocks()
        self._mail: MailServices | None = None
        self._pickup: Pickup | None = None

    # --- starting --------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Bind the ports of the listeners and of the admin API. Clients wait in the kernel until the queue is ready."""
        super().privilegedStartService()
        self._bound = True
        try:
            self._gateway.listeners.bind(self._plan)
            self._gateway.admin.bind()
        except ConfigurationError as error:
            raise not_started(located(error, self._texts, self._files)) from None

    def startService(self) -> None:
        """Start all parts in order."""
        if not self._bound:  # `twist` calls this one alone
            self.privilegedStartService()
        super().startService()
        Deferred.fromCoroutine(self._start()).addErrback(self._start_failed)

    async def _start(self) -> None:
        gateway, settings = self._gateway, self.settings
        have_folders(settings, self._locks, gateway.bus)
        before = last_written((spool_path(settings) / "counters.json", log_path(settings)))
        self._start_log()
        mail = self._mail = build_mail(gateway)
        gateway.bus.add(mail.alerts.emit, kinds=mail.alerts.kinds)
        changes = self._change_control(mail)
        routes, suspension = build_operation(gateway, mail, changes)
        gateway.admin.open(settings, routes)
        gateway.metrics_port.use(gateway.metrics_port.prepare(settings.metrics))
        await changes.begin()
        await gateway.local.look()
        gateway.local.start()
        await mail.queueing.start()
        await self._start_lookups()
        gateway.watches.exemptions.watch(gateway.now.destinations)
        gateway.watches.clock.start(before)
        gateway.watches.memory.start()
        self._garbage.start()
        suspension.apply()
        pickup = build_maildrop(gateway, mail)
        await pickup.begin()
        mail.engine.start()
        self._pickup = pickup
        pickup.start()
        gateway.listeners.serve(self._plan, build_receiving(gateway, mail))
        gateway.watches.renewal.start()
        gateway.watches.expiry.start()
        reload_on_sighup(changes, gateway.runtime)
        supervisor.tell(supervisor.READY)

    def _messages(self) -> int:
        return self._mail.queueing.commands.counts().messages if self._mail is not None else 0

    def _start_log(self) -> None:
        gateway, settings = self._gateway, self.settings
        gateway.logs.begin(settings.log, settings.log_subscription)
        for observer in gateway.observers.all:
            gateway.bus.subscribe(observer.handlers)
        gateway.bus.emit(GatewayStarted(__version__))
        for problem in unfit_names(gateway.runtime.hostname, gateway.now.destinations):
            gateway.bus.emit(Fault(problem))
        gateway.descriptors.use(settings)
        gateway.bus.hand_out()
        for problem in gateway.now.lookups.roots.problems:
            gateway.bus.emit(Fault(problem))
        gateway.languages.load((*settings.queue.report_languages, *gateway.now.destinations.report_languages()))

    async def _start_lookups(self) -> None:
        gateway, now = self._gateway, self._gateway.now
        lookups = now.lookups
        gateway.bus.add(lookups.policies.cache.heard, kinds=(STSSucceeded,))
        await lookups.policies.cache.begin()
        await gateway.seen_dane.begin()
        gateway.start_log.started(startup.lines(gateway.runtime.hostname, self._files, self.settings))
        gateway.start_log.after(lookups.probe.start(), lambda: now.lookups.probe.verdict)
        lookups.refresh.start()

    def _change_control(self, mail: MailServices) -> ChangeControl:
        """What takes configurations."""
        now = self._gateway.now
        return ChangeControl(
            self._gateway.runtime,
            self._texts,
            self._files,
            var_path(self.settings) / "changes",
            Reloader(ReloadableParts(self._gateway, mail).all, lambda: now.settings),
            self._configuration,
        )

    def _start_failed(self, failure: Failure) -> None:
        """Say why, and end: a gateway that is half there is worse than none."""
        startup.tell_failed(failure, lambda error: located(error, self._texts, self._files))
        reactor = self._gateway.runtime.reactor
        reactor.callWhenRunning(reactor.stop)

    # --- stopping --------------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """Stop all parts, in the reverse order; fires when everything known is on disk."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Each part that was started; a start that failed half-way leaves the later ones out."""
        gateway = self._gateway
        gateway.bus.emit(GatewayStopping())
        supervisor.tell(supervisor.STOPPING)
        self._plan.discard()
        await gateway.listeners.close(SESSION_GRACE)
        await gateway.admin.close_port()
        await gateway.metrics_port.close()
        if self._pickup is not None:
            await self._pickup.stop()
        await gateway.local.stop()
        gateway.descriptors.stop()
        gateway.watches.stop()
        self._garbage.stop()
        gateway.now.lookups.probe.stop()
        await gateway.now.lookups.refresh.stop()
        if self._mail is not None:
            await self._stop_mail(self._mail)
        await gateway.logs.end()
        self._locks.release()

    async def _stop_mail(self, mail: MailServices) -> None:
        gateway = self._gateway
        mail.alerts.stop()
        if gateway.admin.opened:
            await mail.engine.stop(ATTEMPT_GRACE)
            await mail.sending.pool.close()
            await gateway.now.lookups.policies.cache.flushed()
            await gateway.seen_dane.end()
            await gateway.admin.close_socket()
            await mail.queueing.stop()
        mail.counters.close()
        gateway.observers.traffic.stop()
