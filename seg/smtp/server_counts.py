"""How long a client may go on without getting anywhere: its faults, what it was refused, and commands to no purpose."""

from __future__ import annotations

RECIPIENTS = 10  # that came to nothing count as much as one command


class SessionCounts:
    """Counts what a client got for its commands; `seg.smtp.server_session` adds what each reply counts.

    Whatever is answered with 4xx or 5xx is a refusal; an accepted message wipes them out. Whatever else is no step towards a
    message is idle: an accepted recipient or message wipes it out, but for transactions that were dropped, which only a message does:
    else a recipient and a RSET could be repeated for ever. Faults (unknown and malformed commands) are never forgotten.
    """

    __slots__ = ("dropped", "faults", "idle", "recipients", "refusals")

    def __init__(self) -> None:
        self.faults = 0
        self.refusals = 0  # replies with 4xx or 5xx
        self.idle = 0  # commands to no purpose, transactions dropped included
        self.dropped = 0  # of them, transactions
        self.recipients = 0  # accepted in the present transaction

    def progress(self) -> None:
        """Content came."""
        self.idle = self.dropped

    def drop(self) -> None:
        """A transaction was given up by the client, with all the work that its recipients were; its command counts already."""
        cost = 1 + self.recipients // RECIPIENTS
        self.dropped += cost
        self.idle += cost
        self.recipients = 0

    def failed(self) -> None:
        """What was to be a message was refused; the reply counts already."""
        self.refusals += self.recipients // RECIPIENTS
        self.recipients = 0

    def message(self) -> None:
        """A message was accepted."""
        self.idle = self.dropped = self.refusals = self.recipients = 0
