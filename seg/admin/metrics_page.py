"""The metrics over HTTP: on the control socket, and, where the operator wants it, at an address of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import Request

from seg.admin.http import RouteTable
from seg.admin.metrics import CONTENT_TYPE, Metrics
from seg.admin.socket import UnloggedSite
from seg.admin.wire import operations
from seg.admin.wire.route import NoParameters, RawResponse
from seg.common.endpoint import endpoint
from seg.config.problems import SettingError
from seg.config.schema import MetricsPage

MAX_CONNECTIONS = 20  # at a time


class MetricsRoutes:
    """Gives the metrics on the API."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add(operations.METRICS, self.metrics)

    async def metrics(self, asked: NoParameters, by: str) -> RawResponse:
        """All metrics as text."""
        return RawResponse(self._metrics.text(), CONTENT_TYPE)


class _Page(Resource):
    """``/metrics``, and nothing else."""

    isLeaf = True

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics

    def render_GET(self, request: Request) -> bytes:
        """All metrics as text."""
        if request.path != b"/metrics":
            request.setResponseCode(404)
            return b"the metrics are at /metrics\n"
        request.setHeader(b"content-type", CONTENT_TYPE.encode("ascii"))
        return self._metrics.text()


class _Bounded(WrappingFactory):
    """So many connections and no more; one too many is closed at once."""

    noisy = False

    def logPrefix(self) -> str:
        """What Twisted's own log calls it."""
        return "Metrics page"

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection, if there is room for it."""
        return None if len(self.protocols) >= MAX_CONNECTIONS else super().buildProtocol(addr)


class MetricsPort:
    """Serves the metrics at the operator's address, which may change."""

    def __init__(self, reactor: Any, metrics: Metrics, watch: Callable[[Any], None] = lambda port: None) -> None:
        self._reactor = reactor
        self._watch = watch
        self._metrics = metrics
        self._settings = MetricsPage()  # nowhere
        self._port: IListeningPort | None = None

    def prepare(self, settings: MetricsPage) -> PreparedPage:
        """Listen at another address, unless it is none, or where the page is already.

        :raises ConfigurationError: it can't be had.
        """
        if settings == self._settings or not settings.address:
            return PreparedPage(settings, None)
        pages: Any = UnloggedSite(_Page(self._metrics), timeout=60)
        pages.displayTracebacks = False
        site = _Bounded(pages)
        try:
            port: IListeningPort = self._reactor.listenTCP(settings.port, site, interface=settings.address)
        except CannotListenError as error:
            where = endpoint(settings.address, settings.port)
            reason = getattr(error.socketError, "strerror", None) or error.socketError
            raise SettingError(("metrics", "address"), f"can't listen at {where}: {reason}") from error
        self._watch(port)
        return PreparedPage(settings, port)

    def use(self, prepared: PreparedPage) -> None:
        """Serve there, and nowhere else."""
        if prepared.settings != self._settings:
            former, self._port, self._settings = self._port, prepared.port, prepared.settings
            if former is not None:
                former.stopListening()

    async def close(self) -> None:
        """Listen no more."""
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)


@attrs.frozen
class PreparedPage:
    """The page at another address, which only waits to be the one."""

    settings: MetricsPage
    port: IListeningPort | None

    def discard(self) -> None:
        """It won't be."""
        if self.port is not None:
            self.port.stopListening()
