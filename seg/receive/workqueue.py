"""Messages between the last octet of their content and the queue: with the filters, or being written."""

from __future__ import annotations


class WorkQueue:
    """Counts them; all listeners share one."""

    def __init__(self) -> None:
        self.entered = 0
        self.left = 0  # queued, refused, or dropped

    @property
    def pending(self) -> int:
        """Messages in it now."""
        return self.entered - self.left
