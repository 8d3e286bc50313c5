"""The time limits of one connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from seg.config.receive import Receive

CLOSING_GRACE = 10.0  # seconds for the last reply to get through before the connection is cut


class SessionTimers:
    """Two clocks run while a session lives: silence, and life as a whole. A third runs once it closes."""

    def __init__(self, clock: IReactorTime, settings: Receive) -> None:
        self._clock = clock
        self._settings = settings
        self._silence: IDelayedCall | None = None
        self._life: IDelayedCall | None = None

    def start(self, on_silence: Callable[[], Any], on_life: Callable[[], Any], silence: float | None = None) -> None:
        """Begin.

        :param silence: seconds; None is that of the settings, for a command.
        """
        wait = self._settings.command_timeout if silence is None else silence
        self._silence = self._clock.callLater(wait, on_silence)
        self._life = self._clock.callLater(self._settings.connection_timeout, on_life)

    def heard(self) -> None:
        """A command came, or its answer is given: the client may take so long again."""
        if self._silence is not None and self._silence.active():
            self._silence.reset(self._settings.command_timeout)

    def heard_content(self, octets: int, began: float) -> None:
        """Content came, which hasn't to come slower than the least rate.

        :param octets: of it so far.
        :param began: seconds by the clock.
        """
        if self._silence is None or not self._silence.active():
            return
        left = self._settings.data_timeout
        if rate := self._settings.min_data_rate:
            left = min(left, left + octets / rate - (self._clock.seconds() - began))
        self._silence.reset(max(0.0, left))

    def wait_again(self, on_silence: Callable[[], Any]) -> None:
        """The silence was ours: begin anew."""
        self._silence = self._clock.callLater(self._settings.command_timeout, on_silence)

    def closing(self, on_grace: Callable[[], Any]) -> None:
        """Only so many seconds are left for the last reply to get through."""
        self.stop()
        self._life = self._clock.callLater(CLOSING_GRACE, on_grace)

    def stop(self) -> None:
        """All over."""
        for call in (self._silence, self._life):
            if call is not None and call.active():
                call.cancel()
        self._silence = self._life = None
