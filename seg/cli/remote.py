"""A gateway on another machine: its admin API over TLS, with a token."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import click

from seg.cli.client import GatewayError
from seg.common.endpoint import endpoint

PORT = 9726
_LONGEST = 4096  # octets of a token file


@attrs.frozen
class RemoteOptions:
    """What the operator gave."""

    url: str
    token_file: str | None
    ca_file: str | None

    def server(self) -> RemoteServer:
        """The gateway there.

        :raises click.UsageError: something lacks, or is no good.
        """
        host, port = _host_and_port(self.url)
        if self.token_file is None:
            raise click.UsageError(
                "--server needs a token: --token-file FILE, or SEG_TOKEN_FILE (seg token add makes one)"
            )
        return RemoteServer(host, port, _token(self.token_file), _context(self.ca_file))


class RemoteServer:
    """Where the gateway is reached (`seg.cli.client.Endpoint`)."""

    def __init__(self, host: str, port: int, token: str, context: ssl.SSLContext) -> None:
        self.headers = {"Authorization": f"Bearer {token}"}
        self._host = host
        self._port = port
        self._context = context
        self._name = f"https://{endpoint(host, port)}"

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A new connection."""
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)

    def trouble(self, error: Exception, timeout: float) -> GatewayError:
        """What to say, and what to do."""
        match error:
            case ssl.SSLCertVerificationError():
                text = f"isn't trusted: {error.verify_message} (--ca-file FILE names the authority that issued its certificate)"
            case ssl.SSLError():
                text = f"doesn't speak TLS as it should: {error.strerror or error}"
            case TimeoutError():
                text = f"doesn't answer within {timeout:g} seconds"
            case OSError():
                text = f"can't be reached: {error.strerror or error}"
            case _:
                text = f"makes no sense: {error}"
        return GatewayError(f"{self._name} {text}", 2)


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme != "https" or not host or extra or not host.isprintable():
        raise click.UsageError(f"--server wants the form https://host:port, not {url!r}")
    return host, PORT if port is None else port


def _token(file: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            token = opened.read(_LONGEST).decode("latin-1").strip()
    except OSError as error:
        raise click.UsageError(f"token file {file}: {error.strerror or error}") from None
    if not token or not all("!" <= character <= "~" for character in token):
        raise click.UsageError(f"token file {file}: there must be one token in it, and nothing else")
    return token


def _context(ca_file: str | None) -> ssl.SSLContext:
    """Verifies certificate and name."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one, too
        raise click.UsageError(f"CA file {ca_file}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
