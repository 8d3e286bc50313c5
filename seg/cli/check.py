"""``seg explain``, ``seg tlsverify``, ``seg stsverify``, ``seg daneverify``: a domain looked at by the code that delivers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from seg.cli.client import NotRunning
from seg.cli.context import CommandContext
from seg.cli.options import DOMAIN
from seg.cli.output import prompt, say
from seg.cli.tables import print_json

LONGEST = 200.0  # seconds that the gateway may take for a check; it gives up before
STATUS = {"pass": 0, "fail": 1, "unknown": 2, "none": 0}
Voice = Callable[[dict[str, Any]], Iterable[str]]

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document instead of text (docs/checks.md)."
)
here_option = click.option(
    "--here", is_flag=True, help="Look from this process, with the configuration, even if the gateway is running."
)
EXIT = "Exit status: 0 it holds; 1 it doesn't; 2 it couldn't be found out (DNS, network), or wrong usage."


@click.command(epilog=EXIT)
@click.argument("domain", required=False)
@click.argument("host", required=False)
@here_option
@json_option
@click.pass_obj
def tlsverify(context: CommandContext, domain: str | None, host: str | None, here: bool, as_json: bool) -> None:
    """Connect to the hosts of DOMAIN, or to HOST[:PORT], and verify TLS, certificate and the destination's policies.

    Without DOMAIN, on a terminal, it asks.
    """
    if domain is None:
        domain, host = _ask_tls()
    from seg.cli.check_text import tls_lines

    name, port = _host_and_port(host or "")
    _run(context, {"kind": "tls", "domain": domain, "host": name, "port": port}, tls_lines, here, as_json)


@click.command(epilog=EXIT.replace("0 it holds;", "0 it holds, or the domain has no MTA-STS;"))
@DOMAIN
@here_option
@json_option
@click.pass_obj
def stsverify(context: CommandContext, domain: str, here: bool, as_json: bool) -> None:
    """Look at the MTA-STS of DOMAIN: TXT record, policy host, policy, each MX against it, TLS.

    It doesn't matter whether the destination's profile asks for MTA-STS, or an SMTP route switches it off: that is said first.
    """
    from seg.cli.check_text import sts_lines

    _run(context, {"kind": "mta-sts", "domain": domain}, sts_lines, here, as_json)


@click.command(epilog=EXIT)
@DOMAIN
@here_option
@json_option
@click.pass_obj
def daneverify(context: CommandContext, domain: str, here: bool, as_json: bool) -> None:
    """Look at the DANE of DOMAIN: MX, addresses and TLSA records below DNSSEC, and each host's certificate.

    It doesn't matter whether the destination's profile asks for DANE, or an SMTP route switches it off: that is said first.
    """
    from seg.cli.check_text import dane_lines

    _run(context, {"kind": "dane", "domain": domain}, dane_lines, here, as_json)


@click.command(
    epilog="Exit status: 0 a message would be delivered now; 1 a policy or the domain itself is in the way; "
    "2 it couldn't be found out (DNS, network), or wrong usage."
)
@DOMAIN
@click.option("--mx", metavar="HOST[:PORT]", default="", help="Only this host, be it an MX of the domain or not.")
@click.option(
    "--profile",
    "profile",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Go by this destinations.toml, not by the one in force.",
)
@here_option
@json_option
@click.pass_obj
def explain(context: CommandContext, domain: str, mx: str, profile: Path | None, here: bool, as_json: bool) -> None:
    """Say what would happen to a message to DOMAIN now, what each policy said for each MX, and what you can do."""
    from seg.cli.check_explain import explain_lines

    name, port = _host_and_port(mx)
    question: dict[str, Any] = {"kind": "explain", "domain": domain, "host": name, "port": port}
    if profile is not None:
        question["destinations"] = _checked(profile)
    _run(context, question, explain_lines, here, as_json)


def _checked(file: Path) -> str:
    """The text of a destinations.toml that is in order; its faults are told with this file's name."""
    from seg.common.errors import ConfigurationError
    from seg.config.load import load_destinations

    try:
        load_destinations(file)
        return file.read_text("utf-8")
    except ConfigurationError as error:
        raise click.UsageError("\n".join(error.problems)) from None


def _run(context: CommandContext, question: dict[str, Any], voice: Voice, here: bool, as_json: bool) -> None:
    document = _answer(context, question, here)
    if as_json:
        print_json(document)
    else:
        for line in voice(document):
            say(line)
    click.get_current_context().exit(STATUS[document["result"]])


def _answer(context: CommandContext, question: dict[str, Any], here: bool) -> dict[str, Any]:
    """From the running gateway; when there is none, by the same code in this process."""
    if not here:
        try:
            with _waiting(question["domain"]):
                answer: dict[str, Any] = context.gateway(LONGEST).post("/v1/checks", **question)
            return answer
        except NotRunning:
            say("The gateway isn't running; looking from here with its configuration.", err=True)
    from seg.cli.standalone import ask_here

    with _waiting(question["domain"]):
        return ask_here(context.files(), question)


def _waiting(domain: str) -> Any:
    """Something that moves, on a terminal."""
    from contextlib import nullcontext

    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(f"looking at {domain!r}", spinner="line")


def _ask_tls() -> tuple[str, str]:
    if not sys.stdin.isatty():
        raise click.UsageError("name the domain: seg tlsverify DOMAIN [HOST[:PORT]]")
    domain = prompt("Enter the TLS domain to verify against", prompt_suffix=":\n[]> ")
    host = prompt(
        "Enter the destination host to connect to. Append the port (example.com:26) if you are not connecting on port 25",
        default="",
        show_default=False,
        prompt_suffix=":\n[]> ",
    )
    return domain, host


def _host_and_port(text: str) -> tuple[str, int]:
    """``host``, ``host:26``, ``[2001:db8::1]:26``, ``2001:db8::1``."""
    from seg.config.syntax import parse_port, split_port

    if not text:
        return "", 0
    try:
        host, port = split_port(text)
        return host, parse_port(port) if port is not None else 0
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no host with a port: {error}") from None
