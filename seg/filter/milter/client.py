"""A milter as a filter of the gateway: each message gets a connection of its own."""

from __future__ import annotations

import errno
import os
from typing import Any, cast

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from seg.config.filters import FilterAddress, parse_filter_address
from seg.filter.answers import Answer
from seg.filter.chain import FilterFault
from seg.filter.interfaces import FilterContext, IMessageFilter
from seg.filter.message import FilteredMessage
from seg.filter.milter.connection import MilterConnection
from seg.filter.milter.session import MilterSession
from seg.filter.milter.wire import MilterError


@implementer(IMessageFilter)
class MilterFilter:
    """Connects, talks, says goodbye.

    :param endpoint: where the milter listens; fails within the connect_timeout of the table.
    """

    def __init__(self, context: FilterContext, endpoint: IStreamClientEndpoint) -> None:
        self._settings = context.settings
        self._hostname = context.hostname
        self._clock: IReactorTime = context.reactor
        self._endpoint = endpoint

    async def judge(self, message: FilteredMessage) -> Answer:
        """See `IMessageFilter.judge`.

        :raises FilterFault: the milter is away, or breaks the rules.
        """
        wire = await self._connected()
        conversation = MilterSession(wire, self._hostname, self._settings)
        try:
            return await conversation.talk(message)
        except MilterError as error:
            raise FilterFault(f"{self._settings.address}: {error}") from error
        finally:
            wire.close(conversation.farewell)

    async def _connected(self) -> MilterConnection:
        factory = Factory.forProtocol(lambda: MilterConnection(self._clock))
        factory.noisy = False
        try:
            connected: Any = await self._endpoint.connect(factory)
            return cast(MilterConnection, connected)
        except (ConnectError, OSError) as error:
            raise FilterFault(f"{self._settings.address}: can't connect: {_reason(error)}") from error


def milter(context: FilterContext) -> MilterFilter:
    """The milter at the address of a table."""
    settings = context.settings
    return MilterFilter(
        context, endpoint(context.reactor, parse_filter_address(settings.address), settings.connect_timeout)
    )


def endpoint(reactor: Any, address: FilterAddress, timeout: float) -> IStreamClientEndpoint:
    """Where a milter listens."""
    if address.path:
        return UNIXClientEndpoint(reactor, address.path, timeout)
    return HostnameEndpoint(reactor, address.host, address.port, timeout)


def _reason(error: Exception) -> str:
    """What went wrong, in the system's words where it has some."""
    number = getattr(error, "osError", None)
    if isinstance(number, int) and number in errno.errorcode:
        return os.strerror(number)
    return str(error).rstrip(".")
