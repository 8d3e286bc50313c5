"""What ``seg destconfig`` offers before an entry asks for DANE or MTA-STS: a look whether they hold, by what delivers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from seg.cli.check import STATUS
from seg.cli.client import GatewayError
from seg.cli.dialogue import confirm
from seg.cli.output import say

Check = Callable[[str, str], dict[str, Any]]  # kind and domain; what was found
# The key, what switches it off, the kind of check, and how it is called.
_POLICIES = (("dane", "none", "dane", "DANE"), ("mta_sts", "off", "mta-sts", "MTA-STS"))


def offer(domain: str, old: Mapping[str, Any], values: Mapping[str, Any], check: Check) -> None:
    """Ask for each policy that is switched on whether to verify the domain now, and show what is found.

    :raises click.ClickException: it doesn't hold, and the entry isn't wanted any more.
    """
    if domain == "Default" or domain.startswith((".", "[")):
        return  # no one domain to look at
    for key, off, kind, name in _POLICIES:
        if values.get(key, off) == off or values.get(key) == old.get(key):
            continue
        if not confirm(f"Do you want to verify {name} of {domain} now?") or _holds(kind, domain, check):
            continue
        if not confirm("Do you wish to stage the entry all the same?"):
            raise click.ClickException("nothing is staged")


def _holds(kind: str, domain: str, check: Check) -> bool:
    """Show what a check finds; whether all is well."""
    from seg.cli.check_text import dane_lines, sts_lines

    lines: Callable[[Any], Iterable[str]] = dane_lines if kind == "dane" else sts_lines
    try:
        document = check(kind, domain)
    except GatewayError as error:
        say(f"It couldn't be verified: {error.format_message()}")
        return False
    for line in lines(document):
        say(line)
    return STATUS[document["result"]] == 0
