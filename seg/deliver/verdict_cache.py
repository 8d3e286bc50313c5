"""Verdicts on connections that are open: most messages come with the decision of the one before."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from seg.deliver.smtp_client import SMTPClientProtocol
from seg.policy.judge import Verdict, judge
from seg.policy.requirement import Decision
from seg.tls.peer import SessionFacts, Trust
from seg.tls.roots import RootStore

VERDICT_AGE = 60.0  # seconds that a verdict on an open connection stands: certificates run out, policies change
VERDICTS = 64  # kept for one connection


class VerdictCache:
    """Holds sessions against decisions.

    :param now: POSIX seconds.
    """

    def __init__(self, roots: RootStore, now: Callable[[], float]) -> None:
        self._roots = roots
        self._now = now
        self._verdicts: dict[SMTPClientProtocol, dict[object, tuple[float, Verdict]]] = {}

    def on(self, decision: Decision, sender: SMTPClientProtocol) -> Verdict:
        """The verdict on an open connection, remembered for a while."""
        verdicts = self._verdicts.get(sender)
        if verdicts is None:
            verdicts = self._verdicts[sender] = {}
            sender.on_closed(self._forget)
        wanted = (decision.requirement, decision.observed)
        now = self._now()
        known = verdicts.get(wanted)
        if known is not None and 0 <= now - known[0] < VERDICT_AGE:
            return known[1]
        verdict = self.of(decision, sender.facts)
        if len(verdicts) >= VERDICTS:
            verdicts.clear()
        verdicts[wanted] = (now, verdict)
        return verdict

    def of(self, decision: Decision, facts: SessionFacts) -> Verdict:
        """The verdict on what a session came to."""
        return judge(decision, facts, Trust(self._roots, datetime.datetime.fromtimestamp(self._now(), datetime.UTC)))

    def _forget(self, sender: SMTPClientProtocol) -> None:
        self._verdicts.pop(sender, None)
