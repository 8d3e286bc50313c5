"""The metrics over HTTP: on the control socket, and, where the operator wants it, at an address of their own."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.web.resource import Resource
from twisted.web.server import Request

from seg.admin.http import Call, RouteTable, Text
from seg.admin.metrics import CONTENT_TYPE, Metrics
from seg.admin.socket import QuietSite
from seg.config.schema import MetricsPage
from seg.errors import ConfigurationError


class MetricsAPI:
    """Serves ``GET /v1/metrics``."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def add_to(self, table: RouteTable) -> None:
        """Take the path."""
        table.add("GET", "/v1/metrics", self.metrics)

    async def metrics(self, call: Call) -> object:
        """All metrics as text."""
        return Text(self._metrics.text(), CONTENT_TYPE)


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


def listen_for_metrics(reactor: Any, settings: MetricsPage, metrics: Metrics) -> IListeningPort | None:
    """Serve them at the operator's address; None when there is none.

    :raises ConfigurationError: it can't be had.
    """
    if not settings.address:
        return None
    site: Any = QuietSite(_Page(metrics), timeout=60)
    site.displayTracebacks = False
    try:
        port: IListeningPort = reactor.listenTCP(settings.port, site, interface=settings.address)
    except CannotListenError as error:
        where = f"{settings.address}:{settings.port}"
        raise ConfigurationError((f"[metrics] can't listen at {where}: {error.socketError}",)) from error
    return port
