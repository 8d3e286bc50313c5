"""What ``seg destconfig`` asks behind the questions that administrators know: settings that few entries have, and an exemption."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seg.cli.dialogue import ask, choose, confirm
from seg.cli.keys import fault_of
from seg.config.destinations import Profile
from seg.config.values import specs
from seg.config.vendor_ini import moment

SPECS = specs(Profile)
QUESTION = (
    "Do you wish to change further settings (own address or name to send with, client certificate, alert, exemption)?"
)
FAILURES = ("defer", "fall-through")
FAILURE_OPTIONS = ("The mail waits", "It goes on by MTA-STS and the TLS setting, with a Warning each time")
_DANE_FAILURE = "dane_opportunistic_failure"
FURTHER = frozenset(
    {_DANE_FAILURE, "source_address", "source_address6", "ehlo_name", "tls_alert", "certificate", "key"}
)
EXEMPTION = "exemption"

# Whether there is to be one, and what it is.
_TEXTS = {
    "source_address": (
        "Do you wish to send to this domain from an IPv4 address of its own?",
        "Enter the IPv4 address of this machine:",
    ),
    "source_address6": (
        "Do you wish to send to this domain from an IPv6 address of its own?",
        "Enter the IPv6 address of this machine:",
    ),
    "ehlo_name": (
        "Do you wish to use another name in EHLO for this domain?",
        "Enter the name, as the DNS has it for the address that mail comes from:",
    ),
}


def further(
    name: str, old: dict[str, Any], values: dict[str, Any], has_tls: bool, opportunistic: bool
) -> dict[str, Any]:
    """The keys of `FURTHER` and the exemption; all as they were unless something is to be changed.

    :param values: what was answered so far.
    :param has_tls: whether TLS may be used.
    :param opportunistic: whether DANE is tried, and not demanded.
    """
    if not confirm(QUESTION):
        return {key: value for key, value in old.items() if key in FURTHER or key == EXEMPTION}
    found: dict[str, Any] = {}
    if has_tls and opportunistic:
        _dane_failure(old, found)
    for key, (question, text) in _TEXTS.items():
        if confirm(question, key in old):
            found[key] = ask(text, str(old.get(key, "")), _right(key))
    if has_tls:
        _certificate(old, found)
        _alert(old, found)
    if name != "Default":
        _exemption(old, found)
    return found


def _right(key: str) -> Callable[[str], str]:
    """What is wrong with an answer for a key."""
    from seg.config.checks import form_fault

    def fault(answer: str) -> str:
        return fault_of(SPECS[key], answer) or form_fault("destination", key, answer)

    return fault


def _dane_failure(old: dict[str, Any], found: dict[str, Any]) -> None:
    if confirm("Do you wish to say what happens to mail for this domain when DANE fails?", _DANE_FAILURE in old):
        at = FAILURES.index(old[_DANE_FAILURE]) + 1 if old.get(_DANE_FAILURE) in FAILURES else 1
        question = "A host's certificate doesn't match its TLSA records:"
        found[_DANE_FAILURE] = FAILURES[choose(question, FAILURE_OPTIONS, at) - 1]


def _certificate(old: dict[str, Any], found: dict[str, Any]) -> None:
    if not confirm("Do you wish to show this domain's servers a certificate of its own?", "certificate" in old):
        return
    found["certificate"] = ask("Enter the PEM file of the certificate:", str(old.get("certificate", "")), _named)
    question = "Enter the PEM file of its private key (in the certificate file: a dash)."
    if key := ask(question, str(old.get("key", "")) or "-").removeprefix("-"):
        found["key"] = key


def _alert(old: dict[str, Any], found: dict[str, Any]) -> None:
    if confirm("Do you wish to say whether the postmaster hears of failing TLS for this domain?", "tls_alert" in old):
        question = "Do you want to send an alert when a required TLS connection fails?"
        found["tls_alert"] = confirm(question, bool(old.get("tls_alert", False)))


def _exemption(old: dict[str, Any], found: dict[str, Any]) -> None:
    stated = old.get(EXEMPTION) or {}
    if confirm("Do you wish to exempt this domain from DANE and MTA-STS for a while?", bool(stated)):
        until = ask(
            "Until when (2026-12-31, or 2026-12-31T18:00:00+01:00)?",
            stated["until"].isoformat() if "until" in stated else "",
            _moment_fault,
        )
        reason = ask("Why, for whoever comes upon it later?", str(stated.get("reason", "")), _reason_fault)
        found[EXEMPTION] = {"until": moment(until), "reason": reason}


def _moment_fault(answer: str) -> str:
    try:
        moment(answer)
    except ValueError as error:
        return str(error)
    return ""


def _reason_fault(answer: str) -> str:
    return "" if answer else "An exemption has a reason."


def _named(answer: str) -> str:
    return "" if answer else "Please answer with the name of a file."
