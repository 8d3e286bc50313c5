"""The questions of ``seg destconfig``, in the order in which administrators of large gateways know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from seg.cli.destconfig_further import further
from seg.cli.destconfig_verify import offer
from seg.cli.dialogue import ask, choose, confirm, menu, number
from seg.cli.output import say, shown_safely
from seg.cli.staged import Edit, StagedEdits, put, remove
from seg.config.destinations import IPPreference, LimitPer, Profile, TLSOption
from seg.config.syntax import parse_pattern
from seg.config.values import specs, word
from seg.mail.address import to_ascii

FILE, ENTRIES = "destinations", "destination"
OPERATIONS = {
    "SETUP": "Change global settings.",
    "NEW": "Create a new entry.",
    "EDIT": "Modify an entry.",
    "DELETE": "Remove an entry.",
    "DEFAULT": "Change the default.",
    "LIST": "Display a summary list of all entries.",
    "DETAIL": "Display details for one destination or all entries.",
    "CLEAR": "Remove all entries.",
    "IMPORT": "Import tables from a file.",
    "EXPORT": "Export tables to a file.",
}
TLS_OPTIONS = (
    "No",
    "Preferred",
    "Required",
    "Preferred - Verify",
    "Required - Verify",
    "Required - Verify Hosted Domains",
)
IP_OPTIONS = ("IPv6 Preferred", "IPv6 Required", "IPv4 Preferred", "IPv4 Required")
DANE_OPTIONS = ("No", "Opportunistic", "Mandatory", "Monitor")
DANE_WORDS = ("none", "opportunistic", "mandatory", "monitor")
STS_OPTIONS = ("Off", "On", "Monitor")
CERTIFICATE_ADVICE = "You have chosen to enable TLS. Please use the 'certconfig' command to ensure that there is a valid certificate configured."
ROUTES_ADVICE = "MTA STS is not enforced for domains that have SMTP routes configured"
LIMIT_PER = tuple(word(member) for member in LimitPer)
SPECS = specs(Profile)


def main_menu(
    bench: StagedEdits,
    list_: Callable[[], object],
    detail: Callable[[str], object],
    import_: Callable[[str], object],
    export: Callable[[str], object],
) -> None:
    """The menu, until it is left with an empty line."""
    actions: dict[str, Callable[[], object]] = {
        "SETUP": lambda: setup(bench),
        "NEW": lambda: new_entry(bench, None),
        "EDIT": lambda: edit_entry(bench, None),
        "DELETE": lambda: _delete(bench),
        "DEFAULT": lambda: edit_default(bench),
        "LIST": list_,
        "DETAIL": lambda: _detail(bench, detail),
        "CLEAR": lambda: _clear(bench),
        "IMPORT": lambda: import_(ask("Enter the name of the file to import:", "", _named)),
        "EXPORT": lambda: export(ask("Enter a name for the exported file:", "", _named)),
    }
    while True:
        entries = len(bench.table(FILE, ENTRIES))
        chosen = menu(f"There are currently {entries} entries configured.", OPERATIONS)
        if not chosen:
            return
        try:
            actions[chosen]()
        except click.ClickException as error:
            shown_safely(error).show()


def new_entry(bench: StagedEdits, domain: str | None) -> None:
    """Ask for a new entry, and stage it."""
    domain = domain or _domain("Enter the domain you wish to configure.")
    if domain in bench.table(FILE, ENTRIES):
        raise click.ClickException(f"{domain} has an entry already; edit it")
    values = profile(domain, {}, bench.table(FILE, "default"))
    offer(domain, {}, values, bench.check)
    bench.stage([put(FILE, (ENTRIES, domain), values)])


def edit_entry(bench: StagedEdits, domain: str | None) -> None:
    """Ask for the new values of an entry; what it has is offered."""
    domain = domain or _domain("Enter the domain you wish to edit.")
    known = bench.table(FILE, ENTRIES)
    if domain not in known:
        raise click.ClickException(f"{domain} has no entry")
    values = profile(domain, known[domain], bench.table(FILE, "default"))
    offer(domain, known[domain], values, bench.check)
    bench.stage([put(FILE, (ENTRIES, domain), values)])


def edit_default(bench: StagedEdits) -> None:
    """Ask for the new values of Default."""
    stated = bench.table(FILE, "default")
    bench.stage([put(FILE, ("default",), profile("Default", stated, {}))])


def setup(bench: StagedEdits) -> None:
    """Ask for what Default says of the certificate and of alerts, and stage it."""
    stated = bench.table(FILE, "default")
    values: dict[str, Any] = {
        "certificate": ask(
            "Enter the PEM file of the certificate to show to servers that ask for one (none: a dash).",
            stated.get("certificate", "") or "-",
        ).removeprefix("-")
    }
    if values["certificate"]:
        question = "Enter the PEM file of its private key (in the certificate file: a dash)."
        values["key"] = ask(question, stated.get("key", "") or "-").removeprefix("-")
    alert = confirm(
        "Do you want to send an alert when a required TLS connection fails?", bool(stated.get("tls_alert", False))
    )
    bench.stage(settle(stated, {**values, "tls_alert": alert}))


def settle(stated: dict[str, Any], values: dict[str, Any]) -> list[Edit]:
    """Edits of the Default entry: an empty value is taken out."""
    edits = [put(FILE, ("default", name), value) for name, value in values.items() if value]
    gone = {name for name, value in values.items() if not value}
    if not values.get("certificate", True):
        gone.add("key")
    return edits + [remove(FILE, ("default", name)) for name in sorted(gone) if name in stated]


def _detail(bench: StagedEdits, detail: Callable[[str], object]) -> None:
    question = "Choose the domain to view, or enter DEFAULT to view details for the default, or enter ALL to view details for all:"
    answer = ask(question, "", lambda given: "" if given.upper() in ("ALL", "DEFAULT") else _domain_fault(given))
    if answer.upper() == "ALL":
        for domain in bench.table(FILE, ENTRIES):
            detail(domain)
    detail("Default" if answer.upper() in ("ALL", "DEFAULT") else parse_pattern(to_ascii(answer)))


def _named(answer: str) -> str:
    return "" if answer else "Please answer with the name of a file."


def _delete(bench: StagedEdits) -> None:
    domain = _domain("Enter the domain you wish to delete.")
    if domain not in bench.table(FILE, ENTRIES):
        raise click.ClickException(f"{domain} has no entry")
    bench.stage([remove(FILE, (ENTRIES, domain))])


def _clear(bench: StagedEdits) -> None:
    known = bench.table(FILE, ENTRIES)
    if known and confirm(f"Are you sure you want to remove all {len(known)} entries?"):
        bench.stage([remove(FILE, (ENTRIES, domain)) for domain in known])


def _domain(question: str) -> str:
    return parse_pattern(to_ascii(ask(question, "", _domain_fault)))


def _domain_fault(answer: str) -> str:
    """What is wrong with a domain; "" when nothing is."""
    try:
        parse_pattern(to_ascii(answer))
    except ValueError as error:
        return str(error)
    return ""


# --- the questions of one profile ---------------------------------------------------------------------------------


def profile(name: str, old: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """All questions of a profile: the keys that it sets. What is answered with no is inherited.

    :param old: what it sets so far: offered as defaults.
    :param default: what the Default entry sets, for what is inherited.
    """
    values: dict[str, Any] = {}
    _ip_preference(name, old, values)
    _limits(name, old, values)
    _tls(old, values, default)
    _bounce_profile(old, values)
    opportunistic = values.get("dane", default.get("dane", "opportunistic")) == "opportunistic"
    return {**values, **further(name, old, values, _has_tls(values, default), opportunistic)}


def _ip_preference(name: str, old: dict[str, Any], values: dict[str, Any]) -> None:
    if confirm(f"Do you wish to configure a specific IP address preference for {name}?", "ip_preference" in old):
        words = [word(member) for member in IPPreference]
        at = words.index(old["ip_preference"]) + 1 if old.get("ip_preference") in words else 1
        values["ip_preference"] = words[choose("Choose the IP address preference:", IP_OPTIONS, at) - 1]


def _limits(name: str, old: dict[str, Any], values: dict[str, Any]) -> None:
    if confirm(f"Do you wish to configure a concurrency limit for {name}?", not old or "concurrent_connections" in old):
        question = f'Enter the max concurrency limit for "{name}".'
        values["concurrent_connections"] = _number("concurrent_connections", question, old)
    if confirm(
        "Do you wish to apply a messages-per-connection limit to this domain?", "messages_per_connection" in old
    ):
        question = f'Enter the max number of messages per connection for "{name}".'
        values["messages_per_connection"] = _number("messages_per_connection", question, old)
    if confirm("Do you wish to apply a recipient limit to this domain?", "recipient_limit" in old):
        question = "Enter the number of minutes used to measure the recipient limit."
        minutes = values["recipient_minutes"] = _number("recipient_minutes", question, old)
        question = f'Enter the max number of recipients per {minutes} minutes for "{name}".'
        values["recipient_limit"] = _number("recipient_limit", question, old)
    if "concurrent_connections" in values or "recipient_limit" in values:
        at = LIMIT_PER.index(old["limit_per"]) + 1 if old.get("limit_per") in LIMIT_PER else 1
        choices = (
            f"One limit applies to the entire domain {name}",
            "Separate limit for each mail exchanger IP address",
        )
        question = f"Select how you want to apply the limits for {name}:"
        values["limit_per"] = LIMIT_PER[choose(question, choices, at) - 1]


def _number(key: str, question: str, old: dict[str, Any]) -> int:
    spec = SPECS[key]
    default = old.get(key, spec.default)
    low, high = int(spec.low or 0), int(spec.high if spec.high is not None else 10**9)
    return number(question, default if isinstance(default, int) and default >= low else None, low, high)


def _tls(old: dict[str, Any], values: dict[str, Any], default: dict[str, Any]) -> None:
    if confirm("Do you wish to apply a specific TLS setting for this domain?", "tls" in old):
        labels = [option.label for option in TLSOption]
        at = labels.index(old["tls"]) + 1 if old.get("tls") in labels else 2
        values["tls"] = labels[choose("Do you want to use TLS support?", TLS_OPTIONS, at) - 1]
        if values["tls"] != "no":
            say(CERTIFICATE_ADVICE)
    if not _has_tls(values, default):
        return  # neither is possible without TLS
    if confirm("Do you wish to configure DANE support?", "dane" in old):
        at = DANE_WORDS.index(old["dane"]) + 1 if old.get("dane") in DANE_WORDS else 1
        values["dane"] = DANE_WORDS[choose("", DANE_OPTIONS, at) - 1]
    if confirm("Do you wish to configure MTA STS support?", "mta_sts" in old):
        words = [option.lower() for option in STS_OPTIONS]
        at = words.index(old["mta_sts"]) + 1 if old.get("mta_sts") in words else 1
        values["mta_sts"] = words[choose("Do you want to use MTA STS support?", STS_OPTIONS, at) - 1]
        if values["mta_sts"] != "off":
            say(ROUTES_ADVICE)


def _bounce_profile(old: dict[str, Any], values: dict[str, Any]) -> None:
    if confirm("Do you wish to apply a specific bounce profile to this domain?", "bounce_profile" in old):
        question = "Enter the name of the bounce profile (seg bounceconfig list):"
        values["bounce_profile"] = ask(question, str(old.get("bounce_profile", "")), _profile_named)


def _profile_named(answer: str) -> str:
    return "" if answer else "Please answer with the name of a bounce profile."


def _has_tls(values: dict[str, Any], inherited: dict[str, Any]) -> bool:
    return values.get("tls", inherited.get("tls", "preferred")) != "no"
