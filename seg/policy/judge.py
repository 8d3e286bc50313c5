"""Holds what a session achieved against what was decided for its host: pure, so each row of the table is a
test.

Ask again for each message that is to ride on a connection, and for each resumed session: a verdict belongs
to one decision and one chain.
"""

from __future__ import annotations

import attrs

from seg.mail.causes import CauseKind, PolicyResult
from seg.policy.requirement import Decision, Observe, Requirement, TLSLevel
from seg.tls.interfaces import IAuthenticator
from seg.tls.peer import CertificateVerdict, SessionFacts, TLSVersion, Trust

NOBODY = "none"
_PROFILE = {"static": "profile"}  # the operator's TLS option, in the words of the log
_VERSIONS = {version.label: version for version in TLSVersion}


@attrs.frozen
class ObservedResult:
    """How the session fares against a policy that is only observed; delivery doesn't depend on it."""

    provider: str
    ok: bool
    text: str  # what matched, or the short reason of the failure
    details: tuple[str, ...] = ()  # every mismatch
    relaxed: bool = False  # enforced, but for the operator's monitor mode or exemption
    cause: CauseKind | None = None  # of the failure
    name: str = ""  # of the certificate, where that is what matched


@attrs.frozen
class Verdict:
    """Whether mail may go over this session, by whom the peer was authenticated, and everything that didn't
    fit.
    """

    ok: bool
    by: str = NOBODY  # who verified the peer: "dane", "mta-sts", "profile", another provider's name, or "none"
    trusted: bool = False  # TLSA records below an insecure MX matched: "Trusted", never "Verified"
    mismatches: tuple[str, ...] = ()  # every one, each a line for people
    summary: str = ""  # on failure: the short form for "verify error: <summary>"
    reason: str = ""  # for the line of explanation: "TLSv1.3 verified by mta-sts", "clear text"
    matched: tuple[tuple[str, str], ...] = ()  # (who, what satisfied it): ("dane", "TLSA 3 1 1")
    failed: tuple[str, ...] = ()  # providers whose authenticators refused the peer
    observed: tuple[ObservedResult, ...] = ()
    cause: CauseKind | None = None  # on failure: of the first mismatch
    result: PolicyResult = PolicyResult.REFUSED

    @property
    def verified_by(self) -> str:
        """`by`, "" for nobody."""
        return "" if self.by == NOBODY else self.by


@attrs.frozen
class _Held:
    """A session held against one requirement."""

    mismatches: tuple[str, ...] = ()
    summary: str = ""
    matched: tuple[tuple[str, str], ...] = ()
    failed: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()
    trusted: bool = False
    cause: CauseKind | None = None  # of the first mismatch
    name: str = ""  # of the certificate, by which the first authenticator accepted it


def judge(decision: Decision, facts: SessionFacts, trust: Trust) -> Verdict:
    """The verdict on a session (or on the lack of TLS) for one decision. Pure; never raises."""
    if not decision.usable:
        return Verdict(
            False,
            mismatches=(decision.refusal,),
            summary=decision.refusal,
            reason=f"refused: {decision.refusal}",
            cause=decision.cause or CauseKind.PROVIDER_REFUSED,
        )
    held = _hold(decision.requirement, facts, trust)
    ok = not held.mismatches
    by = held.verified[0] if ok and held.verified else NOBODY
    trusted = ok and held.trusted
    return Verdict(
        ok,
        by,
        trusted,
        held.mismatches,
        held.summary,
        _reason(facts, by, trusted) if ok else _failure(facts, held.summary),
        held.matched,
        held.failed,
        tuple(_observe(provider, wish, facts, trust) for provider, wish in decision.observed),
        held.cause,
        _result(facts, by, trusted) if ok else PolicyResult.REFUSED,
    )


def _result(facts: SessionFacts, by: str, trusted: bool) -> PolicyResult:
    if not facts.tls:
        return PolicyResult.CLEAR
    if by != NOBODY:
        return PolicyResult.VERIFIED
    return PolicyResult.TRUSTED if trusted else PolicyResult.UNVERIFIED


def _hold(requirement: Requirement, facts: SessionFacts, trust: Trust) -> _Held:
    """All mismatches of a session with one requirement."""
    if not facts.tls:
        # Authenticators are MUST in themselves: a peer that showed nothing can't be accepted.
        if requirement.tls is not TLSLevel.MUST and not requirement.authenticators:
            return _Held()
        why = facts.failure or ("TLS wasn't started" if facts.starttls_offered else "STARTTLS wasn't offered")
        sources = (
            requirement.source,
            *(authenticator.source for authenticator in requirement.authenticators),
        )
        kind = CauseKind.TLS_FAILED if facts.failure or facts.starttls_offered else CauseKind.TLS_NOT_OFFERED
        return _Held((f"TLS is required: {why}",), why, failed=_words(sources), cause=kind)
    mismatches: list[str] = []
    summaries: list[str] = []
    causes: list[CauseKind] = []
    failed: list[str] = []
    verified: list[str] = []
    matched: list[tuple[str, str]] = []
    trusted, name = False, ""
    if _VERSIONS.get(facts.version, 0) < requirement.min_version:
        mismatches.append(f"{facts.version or 'unknown TLS version'} is below {requirement.min_version.label}")
        summaries.append("protocol version too low")
        causes.append(CauseKind.TLS_VERSION_TOO_LOW)
        failed.append(requirement.source)
    for authenticator in requirement.authenticators:
        found = _examined(authenticator, facts, trust)
        if not found.ok:
            mismatches += found.mismatches
            summaries.append(found.summary or found.mismatches[0])
            causes.append(found.cause or CauseKind.CERTIFICATE_OTHER)
            failed.append(authenticator.source)
            continue
        matched.append((_word(authenticator.source), found.matched))
        trusted, name = trusted or not authenticator.verifies, name or found.name
        if authenticator.verifies:
            verified.append(_word(authenticator.source))
    lines = tuple(dict.fromkeys(mismatches))
    summary, cause = (summaries[0], causes[0]) if summaries else ("", None)
    return _Held(lines, summary, tuple(matched), _words(failed), tuple(verified), trusted, cause, name)


def _examined(authenticator: IAuthenticator, facts: SessionFacts, trust: Trust) -> CertificateVerdict:
    """What an authenticator finds; one of a third party may do anything, and what isn't a finding accepts nobody."""
    try:
        found = authenticator.examine(facts.peer, trust)
        if not isinstance(found, CertificateVerdict) or not isinstance(found.mismatches, tuple):
            raise TypeError(f"{repr(found)[:200]} is no finding")
    except Exception as error:  # noqa: BLE001
        text = f"the {authenticator.source} authenticator failed: {type(error).__name__}: {error}"
        return CertificateVerdict((text,), summary=text)
    return found


def _observe(provider: str, wish: Observe, facts: SessionFacts, trust: Trust) -> ObservedResult:
    if wish.failure:
        return ObservedResult(
            provider, False, wish.failure, (wish.failure,), wish.relaxed, wish.cause or CauseKind.OTHER
        )
    held = _hold(wish.requirement, facts, trust)
    if held.mismatches:
        return ObservedResult(provider, False, held.summary, held.mismatches, wish.relaxed, held.cause)
    text = ", ".join(text for _, text in held.matched) or "TLS"
    return ObservedResult(provider, True, text, (), wish.relaxed, name=held.name)


def _reason(facts: SessionFacts, by: str, trusted: bool) -> str:
    if not facts.tls:
        return "clear text"
    if by != NOBODY:
        return f"{facts.version} verified by {by}"
    return f"{facts.version} trusted by dane" if trusted else f"{facts.version} unverified"


def _failure(facts: SessionFacts, summary: str) -> str:
    return f"{facts.version} refused: {summary}" if facts.tls else f"TLS required: {summary}"


def _word(source: str) -> str:
    return _PROFILE.get(source, source)


def _words(sources: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_word(source) for source in sources if source))
