"""``twistd seg``: reads and checks the configuration before anything is bound, then starts the gateway's parts in order.

`seg.wiring` puts the parts together; here is when each begins, and how all of them end.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from seg import events
from seg.admin.api import AdminAPI, Identity
from seg.admin.checks import ChecksAPI
from seg.admin.counters import EventCounters
from seg.admin.destinations import DestinationsAPI
from seg.admin.socket import listen
from seg.config.destinations import Destinations
from seg.config.find import ConfigurationFiles, find_configuration
from seg.config.load import load_destinations, load_settings
from seg.config.paths import log_path, socket_path, var_path
from seg.config.schema import Listener, ListenerTLS, Settings
from seg.deliver.exemptions import ExemptionWatch
from seg.errors import ConfigurationError
from seg.maillog.bus import EventBus
from seg.maillog.files import MailLogFile
from seg.receive.binding import bind
from seg.receive.census import Census
from seg.receive.factory import ReceiveFactory
from seg.receive.rates import RecipientRates
from seg.receive.renewal import CertificateRenewal
from seg.tls.listening import ListenerCertificates
from seg.tls.roots import load_roots
from seg.version import __version__
from seg.wiring import Lookups, Mail, wire_checks, wire_lookups, wire_mail

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
    settings: Settings
    destinations: Destinations

    def postOptions(self) -> None:
        """Read and check the configuration: a fault ends the program before anything is bound or changed."""
        try:
            self.files = find_configuration(self["config"])
            self.settings = load_settings(self.files.settings)
            self.destinations = load_destinations(self.files.destinations)
        except ConfigurationError as error:
            raise _exit(error) from None


def makeService(options: Options) -> GatewayService:
    """The gateway as a service; called by twistd."""
    from twisted.internet import reactor

    try:
        return GatewayService(options.settings, options.destinations, options.files, reactor)
    except ConfigurationError as error:
        raise _exit(error) from None


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

    def __init__(self, settings: Settings, destinations: Destinations, files: ConfigurationFiles, reactor: Any) -> None:
        self.settings = settings
        self.destinations = destinations
        self.hostname = settings.gateway.hostname or machine_name()
        self._postmaster = settings.gateway.postmaster or f"postmaster@{self.hostname}"
        self._files = files
        self._reactor = reactor
        self._bus = EventBus()
        self._event_counters = EventCounters()
        roots = load_roots(settings.tls.ca_file, settings.tls.extra_ca_file)
        self._certificates = [_listener_tls(listener) for listener in settings.listener]
        named = {listener.name: tls for listener, tls in zip(settings.listener, self._certificates, strict=True) if tls}
        self._renewal = CertificateRenewal(named, reactor, self._bus)
        self._lookups: Lookups = wire_lookups(settings, roots, self._bus, reactor)
        self._exemptions = ExemptionWatch(reactor, self._bus)
        self._bound: list[socket.socket] = []
        self._mail_log: MailLogFile | None = None
        self._mail: Mail | None = None
        self._control: IListeningPort | None = None
        self._listeners: list[tuple[ReceiveFactory, IListeningPort]] = []

    # --- starting --------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Bind the listeners' ports. Clients wait in the kernel until the queue is ready."""
        super().privilegedStartService()
        try:
            for listener in self.settings.listener:
                self._bound.append(bind(listener))
        except ConfigurationError as error:
            raise _exit(error) from None

    def startService(self) -> None:
        """Start all parts in order."""
        super().startService()
        Deferred.fromCoroutine(self._start()).addErrback(self._start_failed)

    async def _start(self) -> None:
        for name, mode in FOLDERS:
            (var_path(self.settings) / name).mkdir(mode=mode, parents=True, exist_ok=True)
        self._start_log()
        mail = self._mail = wire_mail(
            self.settings,
            lambda: self.destinations,
            self.hostname,
            self._postmaster,
            self._lookups,
            self._bus,
            self._reactor,
        )
        self._control = self._listen_for_operators(mail)
        await mail.queue.start()
        await self._lookups.policies.cache.load()
        self._lookups.probe.start()
        self._lookups.refresh.start()
        self._exemptions.watch(self.destinations)
        self._renewal.start()
        mail.engine.start()
        self._serve(mail)

    def _start_log(self) -> None:
        folder = log_path(self.settings).parent
        log = self._mail_log = MailLogFile(folder, self.settings.log, self._reactor, __version__, self.hostname)
        log.start()
        self._bus.add(log.emit, debug=log.debug)
        self._bus.add(self._event_counters.emit)
        self._bus.emit(events.GatewayStarted(__version__))
        for problem in self._lookups.roots.problems:
            self._bus.emit(events.Fault(problem))

    def _listen_for_operators(self, mail: Mail) -> IListeningPort:
        """The control socket. It also sees to it that only one gateway works in a folder.

        :raises ConfigurationError: it can't be had.
        """
        identity = Identity(self.hostname, self._files.settings, self._reactor.seconds())
        api = AdminAPI(identity, mail.queue, self, self._event_counters, self._reactor.seconds)
        table = api.routes()
        DestinationsAPI(lambda: self.destinations, self._reactor.seconds).add_to(table)
        ChecksAPI(
            wire_checks(
                self.settings, lambda: self.destinations, self.hostname, self._lookups, self._bus, self._reactor
            )
        ).add_to(table)
        path = socket_path(self.settings)
        try:
            return listen(self._reactor, path, int(self.settings.control.mode, 8), table)
        except CannotListenError as error:
            question = f"is another gateway running in {var_path(self.settings)}?"
            problem = f"control socket {path}: {error.socketError}; {question}"
            raise ConfigurationError((problem,)) from error

    def _serve(self, mail: Mail) -> None:
        """Answer those who wait at the listeners' ports, and all that come."""
        receive = self.settings.receive
        census = Census(receive.max_connections, receive.max_connections_per_address)
        rates = RecipientRates(self._reactor.seconds)
        for listener, tls in zip(self.settings.listener, self._certificates, strict=True):
            factory = ReceiveFactory(
                receive,
                listener,
                self.hostname,
                mail.queue,
                mail.counters,
                self._bus,
                self._reactor,
                tls,
                postmaster=self._postmaster,
                census=census,
                groups=self.settings.sender_group,
                recipients=self.settings.recipients,
                resolver=self._lookups.resolver,
                rates=rates,
            )
            self._listeners.append((factory, factory.serve(self._reactor, self._bound.pop(0))))

    def _start_failed(self, failure: Failure) -> None:
        """Say why, and end: a gateway that is half there is worse than none."""
        error = failure.value
        if isinstance(error, ConfigurationError):
            text = "; ".join(error.problems)
        elif isinstance(error, OSError):
            text = f"{error.filename or 'the spool'}: {error.strerror}"
        else:
            self.log.failure("the gateway could not be started", failure)
            text = failure.getErrorMessage()
        print(f"seg: not started: {text}", file=sys.stderr)
        self._reactor.callWhenRunning(self._reactor.stop)
        atexit.register(_end_with_failure)

    # --- stopping --------------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """Stop all parts, in the reverse order; fires when everything known is on disk."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Each part that was started; a start that failed half-way leaves the later ones out."""
        self._bus.emit(events.GatewayStopping())
        for bound in self._bound:
            bound.close()
        for _, port in self._listeners:
            await maybeDeferred(port.stopListening)
        farewells = [factory.shutdown(SESSION_GRACE) for factory, _ in self._listeners]
        await DeferredList(farewells, consumeErrors=True)
        self._exemptions.stop()
        self._renewal.stop()
        self._lookups.probe.stop()
        await self._lookups.refresh.stop()
        if self._mail is not None:
            await self._stop_mail(self._mail)
        if self._mail_log is not None:
            self._mail_log.stop()

    async def _stop_mail(self, mail: Mail) -> None:
        if self._control is not None:
            await mail.engine.stop(ATTEMPT_GRACE)
            await mail.pool.close()
            await self._lookups.policies.cache.flushed()
            await maybeDeferred(self._control.stopListening)
            await mail.queue.stop()
        mail.counters.close()

    # --- what an operator may see (`seg.admin.api.Gauges`) ---------------------------------------

    def connections_in(self) -> int:
        """Clients connected."""
        return sum(factory.connections for factory, _ in self._listeners)

    def attempts(self) -> int:
        """Attempts under way."""
        return self._mail.engine.active if self._mail else 0

    def connections_idle(self) -> int:
        """Connections that wait for another message."""
        return len(self._mail.pool) if self._mail else 0

    def listeners(self) -> list[tuple[str, str, int]]:
        """(name, address, port) of each listener."""
        bound: list[tuple[str, Any]] = [(factory.listener.name, port.getHost()) for factory, port in self._listeners]
        return [(name, host.host, host.port) for name, host in bound]

    def resolver_validates(self) -> bool:
        """Whether the AD bit can be believed."""
        return self._lookups.probe.validates

    def exemptions(self) -> int:
        """Destinations that are exempt from their policies now."""
        now = self._reactor.seconds()
        return sum(now < exemption.until for _, exemption in self.destinations.exemptions())


def _listener_tls(listener: Listener) -> ListenerCertificates | None:
    if listener.tls is ListenerTLS.OFF:
        return None
    return ListenerCertificates(
        [(listener.certificate, listener.key), *((path, "") for path in listener.more_certificates)]
    )


def machine_name() -> str:
    """The machine's full name; its short one when the system doesn't know it (blocks: for the start only)."""
    name = socket.getfqdn()
    return socket.gethostname() if name.startswith("localhost") else name


def _end_with_failure() -> None:
    """Twistd's exit status would be 0, which tells a supervisor that all is well."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
