"""The operator's checks over the API: what would happen to a message, and whether a domain's TLS, MTA-STS and DANE hold."""

from __future__ import annotations

from collections.abc import Callable

from seg.admin.http import APIError, RouteTable
from seg.admin.wire import operations
from seg.admin.wire.checks import RunCheck
from seg.check.answer import CheckAnswer
from seg.check.checks import Checks, TooManyChecks


class CheckRoutes:
    """Runs checks.

    :param checks: those of the configuration in force.
    """

    def __init__(self, checks: Callable[[], Checks]) -> None:
        self._checks = checks

    def add_to(self, table: RouteTable) -> None:
        """Serve them."""
        table.add(operations.CHECK, self.check)

    async def check(self, asked: RunCheck, by: str) -> CheckAnswer:
        """Run one check."""
        try:
            return await self._checks().ask(asked.question)
        except TooManyChecks:
            raise APIError(429, "as many checks are running as may be at a time; try again in a minute") from None
