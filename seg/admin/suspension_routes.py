"""What is suspended, over the API."""

from __future__ import annotations

from collections.abc import Callable

from seg.admin.http import APIError, RouteTable
from seg.admin.names import asked_pattern
from seg.admin.suspension import ALL, Suspension
from seg.admin.wire import operations
from seg.admin.wire.gateway import SUSPENSION_KEYS, ChangeSuspension, SuspensionAnswer
from seg.admin.wire.route import NoParameters
from seg.config.problems import offered
from seg.events.base import IEventSink
from seg.events.gateway import OperatorActed


class SuspensionRoutes:
    """Suspends and resumes.

    :param listeners: the names of those there are.
    """

    def __init__(self, suspension: Suspension, listeners: Callable[[], tuple[str, ...]], sink: IEventSink) -> None:
        self._suspension = suspension
        self._listeners = listeners
        self._sink = sink

    def add_to(self, table: RouteTable) -> None:
        """Serve it."""
        table.add(operations.SHOW_SUSPENSION, self.suspended)
        table.add(operations.CHANGE_SUSPENSION, self.suspend)

    async def suspended(self, asked: NoParameters, by: str) -> SuspensionAnswer:
        """What is suspended."""
        return self._suspension.facts()

    async def suspend(self, asked: ChangeSuspension, by: str) -> SuspensionAnswer:
        """Suspend and resume; ALL for all."""
        given = {key: names for key in SUSPENSION_KEYS if (names := getattr(asked, key)) is not None}
        for key in ("suspend_listeners", "resume_listeners"):
            if key in given:
                given[key] = self._known_listeners(given[key])
        self._names_of_domains(given)
        self._suspension.change(**given)
        said = "; ".join(f"{key.replace('_', ' ')} {', '.join(values)}" for key, values in given.items())
        self._sink.emit(OperatorActed(by, said))
        return self._suspension.facts()

    def _known_listeners(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """:raises APIError: 404, there is no such listener."""
        known = self._listeners()
        unknown = [name for name in asked if name != ALL and name not in known]
        if unknown:
            raise APIError(404, f"there is no listener {unknown[0]}{offered(unknown[0], known)}")
        return known if ALL in asked else asked

    def _names_of_domains(self, given: dict[str, tuple[str, ...]]) -> None:
        """Check them, and put them as they are looked up.

        :raises APIError: 400, no domain has such a name; 409, something wider would still hold back what is to be resumed.
        """
        now = self._suspension.now
        for key in given.keys() & {"suspend", "resume"}:
            names = (ALL if name == ALL else asked_pattern(name, now.domains.__contains__) for name in given[key])
            given[key] = tuple(names)
        resumed = frozenset(given.get("resume", ()))
        if ALL in resumed:
            return
        if ALL in now.domains and "resume" in given:
            raise APIError(
                409, "all deliveries are suspended: resume them all (seg resumedel), then suspend those that shall wait"
            )
        for name in sorted(resumed - now.domains):
            if wider := now.by(name):
                raise APIError(409, f"{name} is suspended by {wider}: resume that, then suspend those that shall wait")
