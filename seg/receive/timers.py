"""The time limits of one connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class SessionTimers:
    """Two clocks run while a session lives: silence, and life as a whole. A third runs once it closes."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._silence: IDelayedCall | None = None
        self._life: IDelayedCall | None = None

    def start(self, silence: float, on_silence: Callable[[], Any], life: float, on_life: Callable[[], Any]) -> None:
        """Begin; both in seconds."""
        self._silence = self._clock.callLater(silence, on_silence)
        self._life = self._clock.callLater(life, on_life)

    def heard(self, silence: float) -> None:
        """The client said something: it may be silent for so many seconds again."""
        if self._silence is not None and self._silence.active():
            self._silence.reset(silence)

    def wait_again(self, silence: float, on_silence: Callable[[], Any]) -> None:
        """The silence was ours: begin anew."""
        self._silence = self._clock.callLater(silence, on_silence)

    def closing(self, grace: float, on_grace: Callable[[], Any]) -> None:
        """Only so many seconds are left for the last reply to get through."""
        self.stop()
        self._life = self._clock.callLater(grace, on_grace)

    def stop(self) -> None:
        """All over."""
        for call in (self._silence, self._life):
            if call is not None and call.active():
                call.cancel()
        self._silence = self._life = None
