"""What every verb works with: the gateway that is meant, and its configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from seg.cli.client import ControlSocket, GatewayClient
from seg.cli.output import say
from seg.cli.remote import RemoteOptions
from seg.common.errors import ConfigurationError
from seg.config.destinations import Destinations
from seg.config.find import ConfigurationFiles, find_configuration
from seg.config.load import load_destinations, load_settings
from seg.config.paths import socket_path
from seg.config.schema import Settings

T = TypeVar("T")


class CommandContext:
    """Where the gateway is, found when a verb first needs it: from the command line, else from the configuration."""

    def __init__(self, configuration: str | None, socket: str | None, server: RemoteOptions | None = None) -> None:
        self._configuration = configuration
        self._socket = socket
        self._server = server
        self._files: ConfigurationFiles | None = None

    def gateway(self, timeout: float = 30.0) -> GatewayClient:
        """The running gateway; an answer may take so many seconds."""
        if self._server is not None:
            return GatewayClient(self._server.server(), timeout)
        return GatewayClient(ControlSocket(Path(self._socket) if self._socket else self._socket_path()), timeout)

    def files(self) -> ConfigurationFiles:
        """The configuration."""
        if self._server is not None:
            raise click.UsageError(
                "this works on files of the gateway's own machine: run it there, without --server (SEG_SERVER)"
            )
        if self._files is None:
            self._files = _told(lambda: find_configuration(self._configuration))
            if self._files.notice:
                say(f"seg: {self._files.notice}", err=True)
        return self._files

    def settings(self) -> Settings:
        """What stands in seg.toml."""
        return _told(lambda: load_settings(self.files().settings))

    def destinations(self) -> Destinations:
        """What stands in destinations.toml."""
        return _told(lambda: load_destinations(self.files().destinations))

    def _socket_path(self) -> Path:
        return socket_path(self.settings())


def _told(read: Callable[[], T]) -> T:
    """What was read; faults of the configuration end the command."""
    try:
        return read()
    except ConfigurationError as error:
        raise click.ClickException("\n".join(error.problems)) from None
