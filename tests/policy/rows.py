"""The TLS option and the interplay of policies as tables; tested, and printed in ``docs/tls-policies.md``."""

from __future__ import annotations

import attrs

from seg.config.destinations import TLSOption

SENT = "delivered"
CLEAR = "delivered in clear text"
RETRY = "one more try, in clear text on a new connection"
WAITS = "deferred"
LOGGED = "delivered; the failure is logged"


@attrs.frozen
class OptionRow:
    """What one TLS option does with one host, when no other policy speaks."""

    option: TLSOption
    no_starttls: str
    failed: str  # after the 220
    stranger: str  # a certificate from nobody we trust
    host_name: str  # a good certificate for the MX host
    domain_name: str  # a good certificate for the domain


OPTIONS = (
    OptionRow(TLSOption.NO, CLEAR, CLEAR, SENT, SENT, SENT),
    OptionRow(TLSOption.PREFERRED, CLEAR, RETRY, SENT, SENT, SENT),
    OptionRow(TLSOption.REQUIRED, WAITS, WAITS, SENT, SENT, SENT),
    OptionRow(TLSOption.PREFERRED_VERIFY, CLEAR, RETRY, LOGGED, LOGGED, SENT),
    OptionRow(TLSOption.REQUIRED_VERIFY, WAITS, WAITS, WAITS, WAITS, SENT),
    OptionRow(TLSOption.REQUIRED_VERIFY_HOSTED, WAITS, WAITS, WAITS, SENT, SENT),
)

NO_DANE = "no TLSA"
DANE = "usable TLSA, secure MX"
TRUSTED = "usable TLSA, insecure MX"
UNUSABLE = "only unusable TLSA"
BOGUS = "TLSA lookup fails"
MANDATORY = "mandatory, not there"

NO_STS = "no policy"
ENFORCE = "enforce, host listed"
UNLISTED = "enforce, host not listed"
TESTING = "testing"

NOTHING = "nothing"
ANY = "TLS"
DOMAIN = "certificate for the domain"
HOST = "certificate for the MX host"
EITHER = "certificate for the domain or the MX host"
TLSA = "certificate that matches TLSA"


@attrs.frozen
class TogetherRow:
    """What a host must show when several policies speak; () = it isn't contacted."""

    dane: str
    sts: str
    option: TLSOption
    wanted: tuple[str, ...]


P, R, V, H = (
    TLSOption.PREFERRED,
    TLSOption.REQUIRED,
    TLSOption.REQUIRED_VERIFY,
    TLSOption.REQUIRED_VERIFY_HOSTED,
)
TOGETHER = (
    TogetherRow(NO_DANE, NO_STS, P, (NOTHING,)),
    TogetherRow(NO_DANE, NO_STS, R, (ANY,)),
    TogetherRow(NO_DANE, NO_STS, V, (DOMAIN,)),
    TogetherRow(NO_DANE, ENFORCE, P, (HOST,)),
    TogetherRow(NO_DANE, ENFORCE, V, (HOST, EITHER)),
    TogetherRow(NO_DANE, ENFORCE, H, (HOST, EITHER)),
    TogetherRow(NO_DANE, UNLISTED, P, ()),
    TogetherRow(NO_DANE, TESTING, P, (NOTHING,)),
    TogetherRow(NO_DANE, TESTING, V, (DOMAIN,)),
    TogetherRow(DANE, ENFORCE, P, (TLSA,)),
    TogetherRow(DANE, UNLISTED, V, (TLSA,)),
    TogetherRow(TRUSTED, NO_STS, P, (TLSA,)),
    TogetherRow(TRUSTED, ENFORCE, P, (TLSA, HOST)),
    TogetherRow(TRUSTED, UNLISTED, P, ()),
    TogetherRow(TRUSTED, NO_STS, V, (TLSA, DOMAIN)),
    TogetherRow(UNUSABLE, NO_STS, P, (ANY,)),
    TogetherRow(UNUSABLE, ENFORCE, P, (HOST,)),
    TogetherRow(BOGUS, ENFORCE, P, ()),
    TogetherRow(MANDATORY, ENFORCE, P, ()),
)


def options_markdown() -> str:
    """The table of TLS options."""
    lines = [
        "| TLS option | no STARTTLS | TLS fails after the 220 | certificate of a stranger "
        "| good certificate for the MX host only | good certificate for the domain |",
        "|---|---|---|---|---|---|",
    ]
    for r in OPTIONS:
        cells = (r.no_starttls, r.failed, r.stranger, r.host_name, r.domain_name)
        if r.option is TLSOption.NO:
            cells = (r.no_starttls, *("(never tried)",) * 4)
        lines.append(f"| {r.option.value} {r.option.label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def together_markdown() -> str:
    """The table of policies together."""
    lines = ["| DANE | MTA-STS | TLS option | the host must show |", "|---|---|---|---|"]
    for r in TOGETHER:
        wanted = " **and** ".join(r.wanted) or "it isn't contacted"
        lines.append(f"| {r.dane} | {r.sts} | {r.option.value} {r.option.label} | {wanted} |")
    return "\n".join(lines)
