"""How much one destination may have at a time: what its past shows."""

from __future__ import annotations

import attrs

INITIAL_WINDOW = 10  # attempts at a time for a destination that has greeted
UNGREETED_WINDOW = 2  # for one of which nothing was heard yet


@attrs.define
class ConcurrencyWindow:
    """How much one destination may have at a time, how much it has, and what is known of it since the start."""

    active: int = 0
    window: int = INITIAL_WINDOW
    greeted: bool = False  # one of its hosts was heard
    silent: bool = False  # it let us wait, and has taken nothing since
    rests_since: float = 0.0  # when its last attempt ended
    _served: bool = False  # it has taken or refused a message
    _successes_wanted: int = 0  # until the window grows
    _careful: bool = False  # the window has been too large once: grow slowly

    @property
    def most(self) -> int:
        """Attempts that it may have at a time."""
        if self.silent:
            return 1
        return self.window if self.greeted else min(self.window, UNGREETED_WINDOW)

    @property
    def memorable(self) -> bool:
        """Whether it is worth remembering while it has no attempt under way."""
        return self.greeted or self.silent or self.window < INITIAL_WINDOW

    def finished(self, reached: bool | None, limit: int) -> None:
        """Adapt to how an attempt went: one more after a success, half after a failure to connect.

        :param reached: whether it was served; None: the attempt says nothing about that.
        """
        self.active -= 1
        if reached is None:
            return
        self._successes_wanted -= 1
        if not reached:
            self.window = max(1, self.window // 2)
            return
        self.greeted, self.silent, self._served = True, False, True
        if self._successes_wanted <= 0:
            self.window = min(limit, self.window + 1)
            self._successes_wanted = self.window if self._careful else 0

    def crowded(self) -> None:
        """There was no connection for an attempt: as many as are under way now are enough, and one more will do for a while."""
        self.active -= 1
        self.window = max(1, self.active)
        self._careful, self._successes_wanted = True, self.window

    def kept_waiting(self, greeted: bool, behind_dot: bool) -> None:
        """One of its attempts waits for long.

        :param greeted: that attempt has heard a greeting.
        :param behind_dot: what it waits for is the reply to a whole message, which may take its time (RFC 5321 §4.5.3.2.6).
        """
        if not greeted:
            self.greeted = False
        if not greeted or not self._served:
            self.silent = True
        if not behind_dot:
            self.window = max(1, self.window // 2)

    def rests(self) -> None:
        """Nothing is under way: next time it begins as at first, if it didn't have less."""
        self.window = min(self.window, INITIAL_WINDOW)
