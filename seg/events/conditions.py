"""Tells when something of the gateway itself begins to be wrong, and when that is over.

A part that can meet such a fault holds one `Condition` for each kind (and subject). It may call `begin` for every single failure:
the mail log gets one Warning at the beginning and one Info at the end, however often it fails in between.
`seg status`, the metrics and the admin API show what lasts (``seg.admin.conditions`` collects the events).
"""

from __future__ import annotations

from seg.events.base import IEventSink
from seg.events.gateway import ConditionBegan, ConditionEnded, ConditionKind


class Condition:
    """One thing that can be wrong for a while.

    :param subject: which file, host, ... it is about; "" where there is only one.
    """

    def __init__(self, sink: IEventSink, kind: ConditionKind, subject: str = "") -> None:
        self._sink = sink
        self._kind = kind
        self._subject = subject
        self.text = ""  # what is wrong now; "" while nothing is

    @property
    def active(self) -> bool:
        """Whether it is wrong now."""
        return bool(self.text)

    def begin(self, text: str) -> None:
        """It is wrong. Only a first call, or one with another text, is told.

        :param text: what is wrong and what it means, in one line without changing figures.
        """
        if text == self.text:
            return
        self.text = text
        self._sink.emit(ConditionBegan(self._kind, self._subject, text))

    def end(self, text: str) -> None:
        """It is over; told only if it had begun."""
        if not self.text:
            return
        self.text = ""
        self._sink.emit(ConditionEnded(self._kind, self._subject, text))
