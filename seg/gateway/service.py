"""``twistd seg``: reads and checks the configuration before anything is bound, then starts the gateway's parts in order.

`seg.gateway.assembly` puts the parts together; here is when each begins, and how all of them end.
"""

from __future__ import annotations

import atexit
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from seg.admin.api import Identity
from seg.admin.conditions import Conditions
from seg.admin.configuration.control import ChangeControl
from seg.admin.configuration.texts import Configuration, ConfigurationTexts, check, located, read_texts
from seg.admin.destination_statistics import DestinationStatistics
from seg.admin.http import RouteTable
from seg.admin.listeners import APIListeners
from seg.admin.metrics import Metrics
from seg.admin.metrics_page import MetricsPort
from seg.admin.policy_report import PolicyReport
from seg.admin.traffic import Traffic
from seg.auth.backoff import Backoff
from seg.common.clock import SteadyClock, posix, posix_of
from seg.common.errors import ConfigurationError
from seg.common.garbage import GarbageCollection
from seg.common.lock import FolderLocks
from seg.common.threads import in_thread_of
from seg.config.ehlo_names import unfit_names
from seg.config.find import ConfigurationFiles, find_configuration
from seg.config.paths import drop_path, log_path, seen_dane_path, spool_path, var_path
from seg.config.schema import ListenerSettings
from seg.config.trust import fault_of, of_caller
from seg.deliver.exemptions import ExemptionTimer
from seg.dsn.languages import FOLDER as REPORTS
from seg.dsn.languages import Languages
from seg.events.bus import EventBus
from seg.events.gateway import Fault, GatewayStarted, GatewayStopping
from seg.events.memory import TOO_LITTLE, MemoryWatch
from seg.events.policy import STSSucceeded
from seg.filter.chain import FilterChain
from seg.filter.plugins import for_listener
from seg.gateway import sdnotify as supervisor
from seg.gateway import startup
from seg.gateway.api import Statistics, admin_paths
from seg.gateway.assembly import (
    ActiveConfiguration,
    MailServices,
    wire_desk,
    wire_door,
    wire_filters,
    wire_local,
    wire_lookups,
    wire_mail,
    wire_ongoing,
    wire_pickup,
)
from seg.gateway.certificates import CertificateReloader, ReloadableCertificate
from seg.gateway.clockwatch import ClockWatch, last_written
from seg.gateway.descriptors import Descriptors, raise_limit
from seg.gateway.logs import wire_logs
from seg.gateway.reload import ReloadableParts, Reloader
from seg.gateway.view import GatewayView
from seg.maildrop.pickup import Pickup
from seg.policy.dane.kept import SeenDANEFile
from seg.receive.connection_counter import ConnectionCounter
from seg.receive.listener import Listener
from seg.receive.listeners import Listeners, MakeFactory
from seg.receive.rates import RecipientRateLimit
from seg.tls.expiry import ExpiryWatch, Presenting
from seg.tls.listening import ListenerCertificates
from seg.tls.parameters import inbound, outbound
from seg.tls.roots import load_roots
from seg.version import __version__

SESSION_GRACE = 5.0  # seconds that clients in the middle of a message get when we stop
ATTEMPT_GRACE = 10.0  # the same for deliveries under way
FOLDERS = (("spool", 0o700), ("log", 0o750), ("run", 0o700), ("cache", 0o750))  # below var, with their permissions


class Options(usage.Options):
    """Command line of ``twistd seg``."""

    synopsis = "[--config FILE]"
    longdesc = (
        "Mail gateway that sends mail only where its TLS policy allows. Without --config the configuration is etc/seg.toml, "
        "else /etc/seg/seg.toml, else the defaults built in: listen at 127.0.0.1:2525, relay for this machine only."
    )
    optParameters: ClassVar[list[list[object]]] = [
        ["config", "c", None, "seg.toml to use; destinations.toml stands beside it"],
    ]

    files: ConfigurationFiles
    texts: ConfigurationTexts
    configuration: Configuration

    def postOptions(self) -> None:
        """Read and check the configuration: a fault ends the program before anything is bound or changed."""
        try:
            self.files = find_configuration(self["config"])
            if self.files.notice:
                print(f"seg: {self.files.notice}", file=sys.stderr)
            self.texts = read_texts(self.files)
            self.configuration = check(self.texts, self.files, at_start=True)
        except ConfigurationError as error:
            raise _exit(error) from None


def makeService(options: Options) -> GatewayService:
    """The gateway as a service; called by twistd."""
    from twisted.internet import reactor

    reactor.seconds = SteadyClock()  # type: ignore[method-assign]
    try:
        return GatewayService(options.configuration, options.texts, options.files, reactor)
    except ConfigurationError as error:
        raise _exit(located(error, options.texts, options.files)) from None


def _exit(error: ConfigurationError) -> SystemExit:
    for problem in error.problems:
        print(problem, file=sys.stderr)
    print("seg: not started", file=sys.stderr)
    return SystemExit(1)


class GatewayService(Service):
    """The running gateway.

    Files that only root may read (keys) are read when it is made, and ports are bound by `privilegedStartService`; all
    else waits for `startService`, which twistd calls as the user of ``--uid``.
    """

    log = Logger()
    _bound = False

    def __init__(
        self, configuration: Configuration, texts: ConfigurationTexts, files: ConfigurationFiles, reactor: Any
    ) -> None:
        settings = configuration.settings
        self.settings = settings  # as at the start; what is in force now is `_now`
        self.hostname = settings.gateway.hostname or machine_name()
        self._postmaster = settings.gateway.postmaster or f"postmaster@{self.hostname}"
        self._files = files
        self._texts = texts
        self._configuration = configuration
        self._reactor = reactor
        self._bus = EventBus()
        self._bus.hold()
        self._start_words = startup.StartLog()
        self._bus.add(self._start_words.emit, kinds=startup.KINDS)
        self._observers = Statistics(
            Traffic(self._bus, reactor),
            DestinationStatistics(posix_of(reactor)),
            Metrics(reactor.seconds, posix_of(reactor)),
            Conditions(posix_of(reactor)),
            PolicyReport(posix_of(reactor)),
        )
        self._descriptors = Descriptors(raise_limit(), reactor, self._bus)
        self._memory = MemoryWatch(reactor, self._bus)
        self._garbage = GarbageCollection(reactor, self._messages)
        self._metrics_port = MetricsPort(reactor, self._observers.metrics, self._descriptors.watch)
        roots = load_roots(settings.tls.ca_file, settings.tls.extra_ca_file)
        lookups = wire_lookups(settings, roots, self._bus, reactor)
        filters = wire_filters(settings, self.hostname, self._bus, reactor)
        self._backoff = Backoff(reactor.seconds)
        sasl = wire_desk(settings, files.settings, self._backoff, self._bus, reactor)
        ongoing = wire_ongoing(self._bus, reactor)
        shown = configuration.destinations.certificates()
        ongoing.identities.replace(ongoing.identities.prepared(shown, outbound(settings.tls), outdated=True))
        limits = self._descriptors.limits(settings)
        self._now = ActiveConfiguration(settings, configuration.destinations, lookups, ongoing, limits, filters, sasl)
        self._reception = Listeners(reactor, self._descriptors.watch)
        self._plan = self._reception.plan(settings.listener, inbound(settings.tls), outdated=True)
        self._entrances = APIListeners(
            settings,
            lambda now: wire_door(now, files.settings, self._bus, reactor),
            reactor,
            self._bus,
            self._descriptors,
        )
        self._renewal = CertificateReloader(self._renewable, reactor, self._bus)
        self._expiry = ExpiryWatch(self._presenting, reactor, self._bus)
        self._exemptions = ExemptionTimer(reactor, self._bus)
        self._clock_watch = ClockWatch(reactor, self._bus, self._clock_stepped)
        names = (listener.name for listener in settings.listener)
        self._census = ConnectionCounter(limits.connections_in, limits.connections_in_of_one, names)
        self._rates = RecipientRateLimit(reactor.seconds)
        self._languages = Languages(files.settings.parent / REPORTS, lambda text: self._bus.emit(Fault(text)))
        self._logs = wire_logs(log_path(settings).parent, self.hostname, self._bus, reactor)
        in_thread = in_thread_of(reactor)
        self._seen_dane = SeenDANEFile(lookups.seen, seen_dane_path(settings), reactor, in_thread, self._bus)
        self._local = wire_local(self._now, self.hostname, files.settings, self._bus, reactor)
        self._locks = FolderLocks()
        self._mail: MailServices | None = None
        self._pickup: Pickup | None = None

    # --- starting --------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Bind the ports of the listeners and of the admin API. Clients wait in the kernel until the queue is ready."""
        super().privilegedStartService()
        self._bound = True
        try:
            self._reception.bind(self._plan)
            self._entrances.bind()
        except ConfigurationError as error:
            raise _exit(located(error, self._texts, self._files)) from None

    def startService(self) -> None:
        """Start all parts in order."""
        if not self._bound:  # `twist` calls this one alone
            self.privilegedStartService()
        super().startService()
        Deferred.fromCoroutine(self._start()).addErrback(self._start_failed)

    async def _start(self) -> None:
        self._have_folders()
        before = last_written((spool_path(self.settings) / "counters.json", log_path(self.settings)))
        self._start_log()
        mail = self._mail = wire_mail(
            self._now, self.hostname, self._postmaster, self._languages, self._bus, self._reactor, self._local
        )
        self._bus.add(mail.alerts.emit, kinds=mail.alerts.kinds)
        changes = self._change_control(mail)
        window = GatewayView(self._now, mail, self._reception, self._expiry, self._bus, self._reactor)
        self._entrances.open(self.settings, self._admin_paths(mail, window, changes))
        self._observers.metrics.watch(window, self._observers.conditions.counts)
        self._metrics_port.use(self._metrics_port.prepare(self.settings.metrics))
        await changes.begin()
        await self._local.look()
        self._local.start()
        await mail.queue.start()
        lookups = self._now.lookups
        self._bus.add(lookups.policies.cache.heard, kinds=(STSSucceeded,))
        await lookups.policies.cache.begin()
        await self._seen_dane.begin()
        self._start_words.started(
            startup.lines(
                self.hostname,
                self._files,
                self.settings.listener,
                log_path(self.settings).absolute(),
            )
        )
        self._start_words.after(lookups.probe.start(), lambda: self._now.lookups.probe.verdict)
        lookups.refresh.start()
        self._exemptions.watch(self._now.destinations)
        self._clock_watch.start(before)
        self._memory.start()
        self._garbage.start()
        window.suspension_changed()
        pickup = wire_pickup(self._now, mail, self.hostname, self._bus, self._reactor, self._local)
        await pickup.begin()
        mail.engine.start()
        self._pickup = pickup
        pickup.start()
        self._reception.serve(self._plan, self._listener_maker(mail))
        self._renewal.start()
        self._expiry.start()
        self._reload_on_sighup(changes)
        supervisor.tell(supervisor.READY)

    def _have_folders(self) -> None:
        """Make the folders, and see to it that no other gateway works in them: nothing in them is read or written before."""
        var, dropped = var_path(self.settings), drop_path(self.settings) / "taken"
        self._check_owner(var)
        for name, mode in FOLDERS:
            (var / name).mkdir(mode=mode, parents=True, exist_ok=True)
        self._locks.take((var, *(var / name for name, _ in FOLDERS), *((dropped,) if dropped.is_dir() else ())))

    def _messages(self) -> int:
        return self._mail.queue.counts().messages if self._mail is not None else 0

    def _clock_stepped(self, seconds: float) -> None:
        """Answers of the DNS may be older than they seem, if the machine slept."""
        self._now.lookups.resolver.flush()

    def _check_owner(self, var: Path) -> None:
        """Nobody else's folder is taken for ours; one that others can write is told of.

        :raises ConfigurationError: it belongs to another user.
        """
        if not var.exists():
            var.mkdir(mode=0o751, parents=True)
        status, trusted = var.stat(), of_caller()
        fault = fault_of(status, trusted)
        if status.st_uid not in trusted.users:
            raise ConfigurationError((f"{var} {fault}: the gateway's user must own it",))
        if fault:
            self._bus.emit(Fault(f"{var} {fault}: seg check-install tells what to mend"))

    def _reload_on_sighup(self, changes: ChangeControl) -> None:
        """SIGHUP: read the files again; faults are in the mail log, and what was in use stays in use."""
        reactor = self._reactor

        def reload() -> None:
            Deferred.fromCoroutine(changes.reload("SIGHUP")).addErrback(self._not_reloaded)

        if threading.current_thread() is threading.main_thread():  # only there signals can be had
            signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reload))

    def _not_reloaded(self, failure: Failure) -> None:
        error = failure.value
        problems = error.problems if isinstance(error, ConfigurationError) else (failure.getErrorMessage(),)
        for problem in problems:
            self._bus.emit(Fault(f"not reloaded: {problem}"))

    def _start_log(self) -> None:
        self._logs.begin(self.settings.log, self.settings.log_subscription)
        for observer in self._observers.all:
            self._bus.add(observer.emit, kinds=observer.kinds)
        self._bus.emit(GatewayStarted(__version__))
        for problem in unfit_names(self.hostname, self._now.destinations):
            self._bus.emit(Fault(problem))
        self._descriptors.use(self.settings)
        self._bus.hand_out()
        for problem in self._now.lookups.roots.problems:
            self._bus.emit(Fault(problem))
        self._languages.load(self._report_languages())

    def _report_languages(self) -> tuple[str, ...]:
        """All that some destination's reports are written in."""
        profiles = self._now.destinations.bounce_profiles.values()
        named = [name for values in profiles for name in values.get("report_languages", ())]
        return (*self._now.settings.queue.report_languages, *named)

    def _change_control(self, mail: MailServices) -> ChangeControl:
        parts = ReloadableParts(
            now=self._now,
            mail=mail,
            reception=self._reception,
            census=self._census,
            descriptors=self._descriptors,
            exemptions=self._exemptions,
            logs=self._logs,
            metrics=self._metrics_port,
            entrances=self._entrances,
            factory=lambda: self._listener_maker(mail),
            sasl=lambda settings: wire_desk(settings, self._files.settings, self._backoff, self._bus, self._reactor),
            hostname=self.hostname,
            sink=self._bus,
            reactor=self._reactor,
        )
        return ChangeControl(
            self._texts,
            self._files,
            var_path(self.settings) / "changes",
            Reloader(parts),
            self._bus,
            in_thread_of(self._reactor),
            posix_of(self._reactor),
            self._configuration,
        )

    def _admin_paths(self, mail: MailServices, window: GatewayView, changes: ChangeControl) -> RouteTable:
        """All that operators may ask for."""
        self._observers.traffic.start(var_path(self.settings) / "totals.json", window.dns)
        identity = Identity(self.hostname, self._files.settings.absolute(), posix(self._reactor))
        return admin_paths(identity, self._now, mail, window, changes, self._observers, self._bus, self._reactor)

    def _renewable(self) -> dict[str, ReloadableCertificate]:
        """The certificates in use, by names for the log."""
        return {
            **{f"certificates of listener {name}": each for name, each in self._reception.certificates.items()},
            **{f"certificates of {name}": each for name, each in self._entrances.certificates.items()},
            **self._now.ongoing.identities.renewable(),
        }

    def _presenting(self) -> dict[str, Presenting]:
        """The certificates in use, by who shows them."""
        shown: dict[str, Presenting] = {f"listener {name}": each for name, each in self._reception.certificates.items()}
        shown.update(self._entrances.certificates)
        shown.update(
            (f"towards servers, {files[0]}", each) for files, each in self._now.ongoing.identities.known.items()
        )
        return shown

    def _listener_maker(self, mail: MailServices) -> MakeFactory:
        """Makes listeners by what is in force now."""
        settings, lookups, filters = self._now.settings, self._now.lookups, self._now.filters
        sasl = self._now.sasl

        def make(listener: ListenerSettings, certificates: ListenerCertificates | None) -> Listener:
            for warning in certificates.warnings if certificates else ():
                self._bus.emit(Fault(warning))
            return Listener(
                settings.receive,
                listener,
                self.hostname,
                mail.queue,
                mail.counters,
                self._bus,
                self._reactor,
                certificates,
                postmaster=self._postmaster,
                census=self._census,
                groups=settings.sender_group,
                recipients=settings.recipients,
                resolver=lookups.for_clients,
                rates=self._rates,
                work=self._reception.work,
                turns=self._reception.turns,
                sasl=sasl,
                auth=settings.auth,
                submission=settings.submission,
                local=lambda: self._local.table,
                filters=FilterChain(for_listener(filters, listener.name), self._bus, self._reactor),
            )

        return make

    def _start_failed(self, failure: Failure) -> None:
        """Say why, and end: a gateway that is half there is worse than none."""
        error = failure.value
        if isinstance(error, ConfigurationError):
            text = "; ".join(located(error, self._texts, self._files).problems)
        elif isinstance(error, OSError):
            text = f"{error.filename or 'the spool'}: {error.strerror}"
        elif isinstance(error, MemoryError):
            text = TOO_LITTLE
        else:
            self.log.failure("the gateway could not be started", failure)
            text = failure.getErrorMessage()
        print(f"seg: not started: {text}", file=sys.stderr)
        self._reactor.callWhenRunning(self._reactor.stop)
        atexit.register(startup.end_with_failure)

    # --- stopping --------------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """Stop all parts, in the reverse order; fires when everything known is on disk."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Each part that was started; a start that failed half-way leaves the later ones out."""
        self._bus.emit(GatewayStopping())
        supervisor.tell(supervisor.STOPPING)
        self._plan.discard()
        await self._reception.close(SESSION_GRACE)
        await self._entrances.close_port()
        await self._metrics_port.close()
        if self._pickup is not None:
            await self._pickup.stop()
        await self._local.stop()
        self._descriptors.stop()
        self._exemptions.stop()
        self._clock_watch.stop()
        self._memory.stop()
        self._garbage.stop()
        self._renewal.stop()
        self._expiry.stop()
        self._now.lookups.probe.stop()
        await self._now.lookups.refresh.stop()
        if self._mail is not None:
            await self._stop_mail(self._mail)
        await self._logs.end()
        self._locks.release()

    async def _stop_mail(self, mail: MailServices) -> None:
        mail.alerts.stop()
        if self._entrances.opened:
            await mail.engine.stop(ATTEMPT_GRACE)
            await mail.sending.pool.close()
            await self._now.lookups.policies.cache.flushed()
            await self._seen_dane.end()
            await self._entrances.close_socket()
            await mail.queue.stop()
        mail.counters.close()
        self._observers.traffic.stop()


def machine_name() -> str:
    """The machine's full name; its short one when the system doesn't know it (blocks: for the start only)."""
    name = socket.getfqdn()
    return socket.gethostname() if name.startswith("localhost") else name
