"""How far an attempt has come: what each recipient got, and what stood in the way. Pure."""

from __future__ import annotations

from seg.common.errors import without_traces
from seg.deliver.connection_errors import PolicyRefusal
from seg.deliver.connection_limits import LimitReached
from seg.deliver.observer import IAttemptObserver
from seg.deliver.plan import AttemptPlan
from seg.deliver.progress import AttemptProgress
from seg.deliver.smtp_client import Tampered
from seg.deliver.transactions import another_host_may_help
from seg.mail.causes import CauseKind
from seg.mail.envelope import MOST_REFUSALS, HostRefusal, Recipient
from seg.mail.errors import LocalFault, Permanent, Temporary, local_fault
from seg.mail.hosts import PeerAddress
from seg.mail.outcome import Bounced, Delayed, Outcome
from seg.policy.requirement import Decision, TLSLevel
from seg.queue.interfaces import Lease


class AttemptRecord:
    """The state of one attempt for one lease. `outcomes` fill up as it goes, and hold what is certain even if it is cancelled."""

    def __init__(self, lease: Lease, plan: AttemptPlan, observer: IAttemptObserver) -> None:
        self.lease, self.plan, self.observer = lease, plan, observer
        self.outcomes: dict[int, Outcome] = {}
        self.connected = False  # some host was reached
        self.progress = AttemptProgress()
        self.crowded: list[LimitReached] = []  # why recipients were left without an outcome
        self.addresses_left = plan.max_addresses
        self.refusals: dict[str, CauseKind] = {}  # hosts that TLS policy keeps the mail from
        self._tampered = False
        self._last_error: Temporary | None = None

    @property
    def over(self) -> bool:
        """Whether no other host is to be tried in this attempt."""
        return self._tampered or self.progress.given_up is not None

    def remaining(self) -> list[Recipient]:
        """The recipients that another host may still serve: those without an outcome, and those refused for now."""
        if self.over:
            return []
        if not self.outcomes:
            return list(self.lease.recipients)
        return [r for r in self.lease.recipients if another_host_may_help(self.outcomes.get(r.rid))]

    def route_failed(self, error: Permanent | Temporary | LocalFault) -> None:
        """The next hops aren't known, which is each recipient's outcome."""
        self.progress.ours = local_fault(error) is not None
        failure = without_traces(error.temporary() if isinstance(error, LocalFault) else error)
        self.observer.route_failed(failure)
        self.fill(Bounced(failure) if isinstance(failure, Permanent) else Delayed(failure))

    def address_failed(self, decision: Decision, address: PeerAddress, error: Temporary) -> None:
        """No session came about at an address, or none that may have the message."""
        if local_fault(error) is not None:
            self.progress.ours = True
        elif isinstance(error, Tampered) and decision.requirement.tls is not TLSLevel.NEVER:
            self._tampered = True  # whoever is in between may be so on the way to the next host, too
            if decision.requirement.tls is TLSLevel.MUST:
                self.refusals[decision.host] = CauseKind.TLS_FAILED
        self.failed(decision, error)
        self.observer.address_failed(decision, address, error)

    def failed(self, decision: Decision, error: Temporary) -> None:
        """A host serves nobody; of the last error all hear whom no host has answered."""
        self._last_error = without_traces(error)
        if isinstance(error, PolicyRefusal):
            self.refusals[decision.host] = error.cause or CauseKind.OTHER

    def delayed(self, error: Temporary | None = None) -> Delayed:
        """What holds for those whom no host has answered, with the hosts that TLS policy kept them from."""
        error = error or self._last_error
        if error is None:
            error = Temporary("4.4.4", f"Unable to route: no usable host for {self.lease.domain}")
        refusals = tuple([HostRefusal(host, cause) for host, cause in self.refusals.items()])
        return Delayed(error, error.dcid, refusals=refusals[:MOST_REFUSALS])

    def fill(self, outcome: Outcome) -> None:
        """Every recipient without an outcome gets this one."""
        for rid in self.lease.rids:
            self.outcomes.setdefault(rid, outcome)
