"""Talks to the running gateway, over its control socket or as `seg.cli.remote` does, with nothing but the standard library (it
starts fast)."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import click

NOT_LET_IN = (401, 403, 429)  # statuses that say nothing of what was asked


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a TCP port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class GatewayError(click.ClickException):
    """The gateway isn't there, or it refuses. Exit status 2 and 1.

    :param answer: all that it said.
    """

    def __init__(self, text: str, exit_code: int = 1, answer: Any = None) -> None:
        super().__init__(text)
        self.answer = answer if isinstance(answer, dict) else {}
        self.exit_code = exit_code  # type: ignore[misc] # click reads it from the instance


class NotRunning(GatewayError):
    """Nobody listens at the socket. Exit status 2."""


class Endpoint(Protocol):
    """Where a gateway is reached."""

    @property
    def headers(self) -> dict[str, str]:
        """Header fields of each request."""

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A new connection, which connects with its first request."""

    def trouble(self, error: Exception, timeout: float) -> GatewayError:
        """What to say when there was no answer, or none that makes sense."""


class ControlSocket:
    """The socket of a gateway on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.headers: dict[str, str] = {}

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A new connection."""
        return SocketConnection(self.path, timeout)

    def trouble(self, error: Exception, timeout: float) -> GatewayError:
        """What to say, and what to do."""
        match error:
            case FileNotFoundError() | ConnectionRefusedError():
                return NotRunning(
                    f"the gateway isn't running (nobody listens at {self.path}).\n"
                    "Start it with: twistd -n seg      If it uses another configuration: seg --config FILE ...",
                    2,
                )
            case PermissionError():
                return GatewayError(f"you may not use {self.path}: be the user that runs the gateway (sudo -u ...)", 2)
            case TimeoutError():
                return GatewayError(f"the gateway at {self.path} doesn't answer within {timeout:g} seconds", 2)
        return GatewayError(f"no sense to be had from {self.path}: {error}", 2)


class GatewayClient:
    """The running gateway, as the command sees it."""

    def __init__(self, place: Endpoint, timeout: float = 30.0) -> None:
        self._place = place
        self._timeout = timeout

    def get(self, path: str, **query: object) -> Any:
        """Ask for something."""
        wanted = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", path + ("?" + urlencode(wanted) if wanted else ""))

    def post(self, path: str, **body: object) -> Any:
        """Have something done."""
        return self._call("POST", path, body)

    def delete(self, path: str) -> Any:
        """Remove something."""
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, body: dict[str, object] | None = None) -> Any:
        connection = self._place.connection(self._timeout)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, self._place.headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._place.trouble(error, self._timeout) from None
        finally:
            connection.close()
        if response.status != 200:
            code = 2 if response.status in NOT_LET_IN else 1
            raise GatewayError(str(answer.get("error", answer)), code, answer)
        return answer
