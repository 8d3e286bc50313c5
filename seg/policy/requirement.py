"""The words of TLS policy: what a provider may answer, and what comes of all answers together.

A `Requirement` is what a host must satisfy; combining two takes the stricter in each part, so that no later
provider can lower what an earlier one asked for. A `Decision` is the frozen result for one host in one
attempt; nothing is looked up again afterwards.
"""

from __future__ import annotations

import enum

import attrs

from seg.config.destinations import DANEMode, Profile
from seg.mail.causes import CauseKind
from seg.mail.hosts import Route
from seg.policy.sources import DANE
from seg.tls.interfaces import IAuthenticator
from seg.tls.peer import TLSVersion


class TLSLevel(enum.IntEnum):
    """How much TLS; a greater value is stricter."""

    NEVER = 0  # STARTTLS isn't tried
    MAY = 1  # tried when offered; clear text when it isn't offered or fails before the handshake
    MUST = 2


@attrs.frozen
class Requirement:
    """What a session with a host must have. Immutable; `combine` takes the stricter in each part."""

    tls: TLSLevel
    min_version: TLSVersion = TLSVersion.TLS1_2
    authenticators: tuple[IAuthenticator, ...] = ()  # all of them must accept the peer
    sni: str = ""  # server name to send (RFC 6066 §3); "" = the host's name
    source: str = ""  # the provider that it comes from
    ties_host: bool = False  # an authenticated policy ties this host to the domain (MTA-STS enforce)
    clear_retry: bool = False  # MAY only: after a failed handshake one retry in clear on a new connection
    tied_authenticators: tuple[IAuthenticator, ...] | None = None  # instead of `authenticators` on a tied host

    def on_tied_host(self) -> Requirement:
        """What this comes to when an earlier policy ties the host to the domain (`ties_host`)."""
        if self.tied_authenticators is None:
            return self
        return attrs.evolve(self, authenticators=self.tied_authenticators, tied_authenticators=None)

    def combine(self, other: Requirement) -> Requirement:
        """This and `other`, the stricter in each part; what this, the earlier one, says of SNI stays."""
        return Requirement(
            tls=max(self.tls, other.tls),
            min_version=max(self.min_version, other.min_version),
            authenticators=self.authenticators + tuple(a for a in other.authenticators if a not in self.authenticators),
            sni=self.sni or other.sni,
            source=self.source or other.source,
            ties_host=self.ties_host or other.ties_host,
            clear_retry=self.clear_retry and other.clear_retry,
        )


# --- what a provider may answer --------------------------------------------------------------------------


@attrs.frozen
class Decide:
    """This host must be reached like so; later providers aren't asked."""

    requirement: Requirement
    reason: str = ""
    may_fall_through: bool = False  # the operator lets a failure of this fall through to the other providers


@attrs.frozen
class Raise:
    """A floor: later providers may add, never lower."""

    requirement: Requirement
    reason: str = ""
    may_fall_through: bool = False  # as in `Decide`


@attrs.frozen
class NoOpinion:
    """Next provider."""

    reason: str
    cause: CauseKind | None = attrs.field(default=None, eq=False)  # where it is a failure to know


@attrs.frozen
class Observe:
    """Judge the live session by this and report; enforce nothing."""

    requirement: Requirement
    reason: str = ""
    failure: str = ""  # a failure that is known before any session, e.g. "MX not in policy"
    floor: Requirement | None = None  # what is enforced all the same, as by `Raise`
    relaxed: bool = False  # the operator's monitor mode or exemption is why it isn't enforced
    cause: CauseKind | None = attrs.field(default=None, eq=False)  # of `failure`


@attrs.frozen
class Refuse:
    """This host isn't to be contacted; next MX."""

    reason: str
    enhanced: str = "4.7.5"
    cause: CauseKind = attrs.field(default=CauseKind.PROVIDER_REFUSED, eq=False)  # why; what is asked is the same


@attrs.frozen
class TempFail:
    """This host can't be judged now; next MX, else defer."""

    reason: str
    enhanced: str = "4.7.5"
    cause: CauseKind = attrs.field(default=CauseKind.PROVIDER_FAILED, eq=False)


Answer = Decide | Raise | NoOpinion | Observe | Refuse | TempFail


def render(answer: Answer) -> str:
    """An answer in a word for the log: ``none(insecure MX)``, ``enforce(id 123, cached)``."""
    if isinstance(answer, NoOpinion):
        return f"none({answer.reason})"
    if isinstance(answer, Refuse):
        return f"refuse({answer.reason})"
    if isinstance(answer, TempFail):
        return f"tempfail({answer.reason})"
    return answer.reason or type(answer).__name__.lower()


def relaxed(answer: Answer, why: str) -> Answer:
    """The answer when nothing of it is to be enforced: what it demands is only observed, and what it forbids is a failure observed.

    :param why: "monitor" or "exempt", for the log.
    """
    if isinstance(answer, NoOpinion) or (isinstance(answer, Observe) and answer.floor is None):
        return answer
    if isinstance(answer, Observe):
        return attrs.evolve(answer, reason=f"{why}({render(answer)})", floor=None, relaxed=True)
    reason = f"{why}({render(answer)})"
    if isinstance(answer, Decide | Raise):
        return Observe(answer.requirement, reason, relaxed=True)
    return Observe(Requirement(TLSLevel.MAY), reason, failure=answer.reason, relaxed=True, cause=answer.cause)


@attrs.frozen
class DomainQuestion:
    """What a provider is asked about: one domain in one attempt."""

    domain: str  # the recipient domain D as given (A-labels); MTA-STS never looks at a CNAME's target
    profile: Profile
    route: Route
    reread: bool = False  # every MX was refused: don't rely on a cached policy (rate-limited there)
    tls_optional: bool = False  # the sender's "TLS-Required: No" (RFC 8689 §5)
    mid: int = 0  # the message that asks; 0: none

    @property
    def may_relax(self) -> bool:
        """Whether any provider may be only heard: where not, `relaxation` needn't be asked."""
        return self.tls_optional or self.profile.relaxes

    def relaxation(self, provider: str, published: bool) -> str:
        """Why a provider is only heard: "optional" by the sender's wish, or as the profile says; "" when it is obeyed.

        The sender's wish sets aside what the recipient's domain asks for, never the operator's word: mandatory DANE is one.

        :param published: the provider speaks for the recipient's domain (`IPublishedPolicyProvider`).
        """
        operators = provider == DANE and self.profile.dane is DANEMode.MANDATORY
        if self.tls_optional and published and not operators:
            return "optional"
        return self.profile.relaxation(provider)


@attrs.frozen
class ProviderAnswer:
    """One provider's answer, kept for the explanation."""

    provider: str
    answer: Answer
    text: str  # short form for the log: "none(insecure MX)", "enforce(id 123, cached)"


@attrs.frozen
class Decision:
    """How one host must be reached in one attempt; nothing downstream asks a provider or a setting again."""

    domain: str
    host: str
    requirement: Requirement
    opinions: tuple[ProviderAnswer, ...] = ()
    observed: tuple[tuple[str, Observe], ...] = ()  # (provider, what it would want)
    refusal: str = ""  # not to be contacted, and why
    temporary: bool = False  # the refusal came from a TempFail
    enhanced: str = "4.7.5"  # status of the refusal
    fall_through: tuple[str, ...] = ()  # providers to leave out if the verdict fails (`OpenChain.decide`)
    cause: CauseKind | None = None  # of the refusal

    @property
    def usable(self) -> bool:
        """Whether a connection may be opened at all."""
        return not self.refusal
