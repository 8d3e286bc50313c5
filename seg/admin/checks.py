"""The operator's checks over the API: what would happen to a message, and whether a domain's TLS, MTA-STS and DANE hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seg.admin.http import APIError, APIRequest, RouteTable
from seg.check.checks import CheckError, CheckKind, CheckRequest, Checks, TooManyChecks, parse_domain
from seg.common.errors import ConfigurationError
from seg.config.destinations import Destinations
from seg.config.load import parse_destinations
from seg.config.problems import offered

KEYS = ("kind", "domain", "host", "port", "destinations")
LONGEST_HOST = 255


class ChecksAPI:
    """Serves ``POST /v1/checks``."""

    def __init__(self, checks: Callable[[], Checks]) -> None:
        self._checks = checks  # those of the configuration in force

    def add_to(self, table: RouteTable) -> None:
        """Take the path."""
        table.add("POST", "/v1/checks", self.check)

    async def check(self, call: APIRequest) -> object:
        """Run one check; body: kind, domain, and perhaps host, port, destinations (the text of a destinations.toml)."""
        try:
            return await self._checks().ask(question_of(call.body))
        except CheckError as error:
            raise APIError(400, str(error)) from None
        except TooManyChecks:
            raise APIError(429, "as many checks are running as may be at a time; try again in a minute") from None


def question_of(body: Any) -> CheckRequest:
    """The question that a request's body asks.

    :raises CheckError: it doesn't.
    """
    unknown = [name for name in body if name not in KEYS]
    if unknown:
        raise CheckError(f"unknown key {unknown[0]!r}{offered(unknown[0], KEYS)}")
    try:
        kind = CheckKind(body.get("kind"))
    except ValueError:
        raise CheckError(f"kind must be one of {', '.join(CheckKind)}, not {body.get('kind')!r}") from None
    domain, host, port = body.get("domain"), body.get("host", ""), body.get("port", 0)
    if not isinstance(domain, str):
        raise CheckError("domain must be a text")
    if not isinstance(host, str) or len(host) > LONGEST_HOST or not host.isprintable():
        raise CheckError("host must be a host name or an IP address")
    if type(port) is not int or not 0 <= port <= 65535:
        raise CheckError("port must be a number from 1 to 65535")
    return CheckRequest(kind, parse_domain(domain), host.strip(), port, _destinations(body.get("destinations")))


def _destinations(text: object) -> Destinations | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise CheckError("destinations must be the text of a destinations.toml")
    try:
        return parse_destinations(text)
    except ConfigurationError as error:
        raise CheckError("\n".join(error.problems)) from None
