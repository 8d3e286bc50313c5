"""What the operator can do about what a check saw. Pure: a table of causes, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seg.check.report import AddressReport, CheckReport, HostReport, NoSession
from seg.common.endpoint import UNIX, endpoint_in_words
from seg.config.destinations import TLSOption
from seg.mail.causes import CauseKind, PolicyResult
from seg.mail.errors import Permanent
from seg.mail.hosts import RouteKind
from seg.policy.requirement import NoOpinion

EXEMPT = "give the destination an exemption with an end and a reason (destinations.toml, docs/tls-policies.md)"
_RESOLVER = (
    "The resolver doesn't validate DNSSEC, so DANE can't be used: run a validating resolver on this host (unbound, knot-resolver) and name "
    "it in [dns] resolvers."
)
_SILENT: Mapping[CauseKind | None, str] = {
    CauseKind.RESOLVER_NOT_VALIDATING: _RESOLVER,
    CauseKind.STS_FETCH_FAILED: "Their MTA-STS policy can't be fetched, so it protects nothing: seg stsverify {domain} says why.",
}


def advice(report: CheckReport) -> tuple[str, ...]:
    """Each remedy once, the most likely one first; nothing when a message would go as the operator wants it."""
    found = [
        *_of_route(report),
        *(line for host in report.hosts for line in _of_host(report, host)),
        *_of_profile(report),
    ]
    return tuple(dict.fromkeys(found))


def _of_route(report: CheckReport) -> Iterator[str]:
    error = report.error
    if error is None:
        return
    if isinstance(error, Permanent):
        yield "Nothing on this side: see whether the domain is spelled right, and ask its owner."
    elif error.cause in (CauseKind.DNS_FAILED, CauseKind.DNS_BOGUS):
        yield (
            f"The DNS gave no usable answer, so the message waits. Try: delv {report.domain} MX. If other domains fail too, look at "
            "[dns] resolvers in seg.toml; if not, their DNS or DNSSEC is broken: tell them."
        )
    else:
        yield "Look at the SMTP route in destinations.toml, and at the DNS entry of its host."


def _of_host(report: CheckReport, host: HostReport) -> Iterator[str]:
    decision, name = host.decision, host.host.name
    if not decision.usable:
        advised = _REFUSED.get(decision.cause or CauseKind.OTHER, _REFUSED_OTHERWISE)
        yield advised.format(host=name, domain=report.domain, refusal=decision.refusal, exempt=EXEMPT)
        return
    silent = [opinion.answer.cause for opinion in decision.opinions if isinstance(opinion.answer, NoOpinion)]
    for cause in silent:
        if cause in _SILENT:
            yield _SILENT[cause].format(domain=report.domain)
    tried = host.tried
    if tried is not None and tried.given_up is not None:
        yield (
            f"{name} doesn't match its TLSA records, and mail goes there all the same, because the profile says "
            'dane_opportunistic_failure = "fall-through": tell them, and set it back to "defer" once it is mended.'
        )
    if tried is not None and not tried.good:
        yield from _of_session(report, host, tried)


_REFUSED: Mapping[CauseKind, str] = {
    CauseKind.MX_NOT_IN_POLICY: "{host} is an MX of {domain} but not in its MTA-STS policy: their MX records and policy disagree, or somebody "
    "forges the MX answer. Ask them before you do anything; if mail can't wait, {exempt}.",
    CauseKind.RESOLVER_NOT_VALIDATING: _RESOLVER,
    CauseKind.DANE_LOST: "{host} had DANE lately ({refusal}): see seg dnsstatus. It ends as soon as a resolver that validates DNSSEC shows that "
    "there is none any more, or with the TTL of the records.",
    CauseKind.TLSA_LOOKUP_FAILED: "The TLSA records of {host} can't be looked up although its zone is signed: their DNS is broken, or somebody "
    "drops the answers. Tell them; if mail can't wait, {exempt}.",
    CauseKind.DANE_UNUSABLE: '{host} has no usable DANE, which the profile demands: set dane = "opportunistic", or ask them to publish TLSA '
    "records.",
}
_REFUSED_OTHERWISE = "{host} may not be used: {refusal}"


_NO_SOCKET = (
    "Nobody takes mail at {where}. See whether the program that listens there runs, and whether the gateway's user may use the socket; "
    "mail waits meanwhile."
)
_NO_SESSION = {
    NoSession.UNREACHABLE: "{name} can't be reached at {where}. See whether outgoing connections to that port are allowed here "
    "(many providers block port 25); if so, the fault is theirs, and mail waits for them.",
    NoSession.LOCAL: "This system can't open connections as it should ({error}): see `seg status`, and the limits of the service.",
    NoSession.AUTH: "{name} answers, but we can't authenticate to it: {error}. See [auth_profile] in destinations.toml (user name, "
    "password, mechanisms) and what the host wants; mail waits meanwhile.",
    NoSession.TLS: "{name} answers, but TLS with it doesn't come about: {error}. See what versions and ciphers it has, and whether a device on "
    "the way interferes; if it is theirs, tell them.",
    NoSession.REFUSED: "{name} answers, and doesn't let us in: {error}. See what its words ask for (many hosts look at the reverse DNS of the "
    "address that we come from, and at block lists), or ask them; mail waits meanwhile.",
}


_OUT_OF_DATE = "A certificate of {name} is out of its dates (see above): tell them; if mail can't wait, {exempt}."
_SESSION: Mapping[CauseKind | None, str] = {
    CauseKind.TLSA_NO_MATCH: "The certificate of {name} matches none of its TLSA records: mostly a certificate renewed without its record, in "
    "the worst case somebody in between. Tell them; if mail can't wait, {exempt}.",
    CauseKind.CERTIFICATE_EXPIRED: _OUT_OF_DATE,
    CauseKind.CERTIFICATE_NOT_YET_VALID: _OUT_OF_DATE,
    CauseKind.CERTIFICATE_ISSUER: "{name} doesn't send the intermediate certificate named above, or its root isn't in your list: tell them, or "
    "add the root to [tls] extra_ca_file if you trust it.",
}
_SESSION_OTHERWISE = "{name} doesn't satisfy the policy (see above): tell them; if mail can't wait, {exempt}."


def _of_session(report: CheckReport, host: HostReport, tried: AddressReport) -> Iterator[str]:
    name, verdict = host.host.name, tried.verdict
    if verdict is None:
        where = endpoint_in_words(tried.address, tried.port)
        socket = where.startswith(UNIX) and tried.cause is NoSession.UNREACHABLE
        yield (_NO_SOCKET if socket else _NO_SESSION[tried.cause]).format(name=name, where=where, error=tried.error)
        return
    if not tried.facts.tls:
        who = " and ".join(verdict.failed) or "the policy"
        yield (
            f"{name} doesn't start TLS, which {who} demands. A device on the way that strips STARTTLS looks the "
            f"same: try from another network. If it is theirs, tell them; if mail can't wait, {EXEMPT}."
        )
    elif verdict.cause is CauseKind.CERTIFICATE_NAME and _option_5(report, verdict.failed):
        yield 'The certificate names the host and not the domain, as hosters do: tls = "required-verify-hosted" fits such a domain.'
    else:
        yield _SESSION.get(verdict.cause, _SESSION_OTHERWISE).format(name=name, exempt=EXEMPT)


def _option_5(report: CheckReport, failed: tuple[str, ...]) -> bool:
    return report.profile.tls is TLSOption.REQUIRED_VERIFY and "profile" in failed


def _of_profile(report: CheckReport) -> Iterator[str]:
    if report.route is not None and report.route.kind is RouteKind.SMTP_ROUTE:
        yield "An SMTP route decides the next hop, so DANE and MTA-STS aren't applied; remove the route to have them applied."
    if report.profile.exemption is not None:
        yield f"The destination is {report.profile.exemption}; until then DANE and MTA-STS aren't enforced."
    tried = report.taken
    if (
        tried is not None
        and tried.verdict is not None
        and tried.verdict.result is PolicyResult.CLEAR
        and tried.given_up is None
    ):
        yield (
            "A message would go in clear text, because nothing demands TLS and the host doesn't offer it: "
            'tls = "required" would make it wait instead.'
        )
