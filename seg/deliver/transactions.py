"""What follows from how the recipients of one transaction fared: who may go again, where, and how many at a time. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from seg.mail.outcome import Delayed, Delivered, Outcome
from seg.smtp.reply import Phase, TooManyRecipients


def another_host_may_help(outcome: Outcome | None) -> bool:
    """Whether another host may have a recipient in this attempt: not where its fate is in doubt, as the connection broke behind the dot."""
    return outcome is None or (isinstance(outcome, Delayed) and not outcome.in_doubt)


def may_go_anew(outcome: Outcome) -> bool:
    """Whether a new connection to the same host may have a recipient at once."""
    return isinstance(outcome, Delayed) and outcome.anew


def is_one_too_many(outcome: Outcome) -> bool:
    """Whether a recipient was refused only because the transaction had too many (RFC 5321 §4.5.3.1.10): the next one may have it."""
    return isinstance(outcome, Delayed) and isinstance(outcome.error, TooManyRecipients)


def fewer(batch: int, refused: Sequence[Outcome]) -> int:
    """How many recipients the next transaction may have after so many of a batch were too many: those that this one had accepted, or half
    where the server said so behind RCPT; 0: there is no use in another one."""
    first = refused[0]
    if len(refused) < batch:
        return batch - len(refused)  # else it could have us say thousands of names again and again
    behind = isinstance(first, Delayed) and getattr(first.error, "phase", None) in (Phase.DATA, Phase.CONTENT)
    return batch // 2 if behind else 0


def at_host(outcome: Outcome, host: str) -> Outcome:
    """A failure with the name of the host that it came from, for the report's Remote-MTA (RFC 3464 §2.3.5)."""
    return outcome if isinstance(outcome, Delivered) else attrs.evolve(outcome, host=host)
