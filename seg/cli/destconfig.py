"""``seg destconfig``: the destination controls, looked at and changed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click

from seg.cli import destconfig_dialogue as dialogue
from seg.cli.check import LONGEST
from seg.cli.context import CommandContext
from seg.cli.destconfig_show import detail, list_
from seg.cli.dialogue import can_ask
from seg.cli.import_export import FROM_FILE, SHOWN, TO_FILE, YES, clear, merge_or_replace, read, replaces, write
from seg.cli.keys import options
from seg.cli.options import JSON, WordChoice, to_be_asked
from seg.cli.output import say
from seg.cli.staged import StagedEdits, changed, put, remove
from seg.config.destinations import Profile
from seg.config.syntax import parse_pattern
from seg.mail.address import to_ascii

FILE = "destinations"
ENTRIES = "destination"
NOT_SET = "isn't set there"


@click.group(invoke_without_command=True)
@click.pass_context
def destconfig(context: click.Context) -> None:
    """Destination controls: how mail is sent, destination by destination.

    Without a verb, on a terminal, it asks. What you change is staged, and takes effect with: seg commit

    \b
    seg destconfig list
    seg destconfig new example.com --tls required-verify --mta-sts on
    seg destconfig edit example.com --inherit tls --concurrent-connections 20
    seg destconfig default --mta-sts on
    seg destconfig import controls.ini --merge
    """
    if not to_be_asked(context):
        return
    dialogue.main_menu(
        StagedEdits(context.obj.gateway(LONGEST)),
        list_=lambda: context.invoke(list_),
        detail=lambda domain: context.invoke(detail, domain=domain, as_json=False),
        import_=lambda file: context.invoke(import_, file=Path(file)),
        export=lambda file: context.invoke(export, file=Path(file)),
    )


class DestinationEntry(click.ParamType):  # type: ignore[type-arg] # generic in newer versions only
    """A domain, ``.domain`` for all below it, or an address literal."""

    name = "domain"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as the file has it."""
        try:
            return parse_pattern(to_ascii(str(value).strip().rstrip(".")))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _exemption_options(command: Any) -> Any:
    command = click.option("--exempt-reason", metavar="TEXT", help="Why, for whoever comes upon it later.")(command)
    return click.option(
        "--exempt-until",
        metavar="DATE",
        help="Enforce neither DANE nor MTA-STS until then (2026-12-31, 2026-12-31T18:00:00+01:00).",
    )(command)


@destconfig.command()
@click.argument("domain", type=DestinationEntry(), required=False)
@options(Profile)
@_exemption_options
@JSON
@click.pass_obj
def new(context: CommandContext, /, domain: str | None, as_json: bool, **given: Any) -> None:
    """Stage an entry for DOMAIN (or .DOMAIN: all below it). What isn't given is inherited from Default, live."""
    bench = StagedEdits(context.gateway(LONGEST))
    values = _values(given)
    if domain is None or (not values and can_ask() and not as_json):
        _need_terminal(domain, "seg destconfig new DOMAIN --tls required ...")
        dialogue.new_entry(bench, domain)
        return
    if domain in bench.table(FILE, ENTRIES):
        raise click.ClickException(f"{domain} has an entry already (seg destconfig edit {domain} ...)")
    bench.stage([put(FILE, (ENTRIES, domain), values)], as_json)


@destconfig.command()
@click.argument("domain", type=DestinationEntry(), required=False)
@options(Profile)
@_exemption_options
@click.option("--inherit", multiple=True, metavar="KEY", help="Inherit this key from Default again (may be repeated).")
@JSON
@click.pass_obj
def edit(context: CommandContext, /, domain: str | None, inherit: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Stage changes of the entry of DOMAIN; keys that aren't given stay as they are."""
    bench = StagedEdits(context.gateway(LONGEST))
    values = _values(given)
    if domain is None or (not values and not inherit and can_ask()):
        _need_terminal(domain, "seg destconfig edit DOMAIN --tls required ...")
        dialogue.edit_entry(bench, domain)
        return
    known = bench.table(FILE, ENTRIES)
    if domain not in known:
        raise click.ClickException(f"{domain} has no entry (seg destconfig new {domain} ...)")
    bench.stage(changed(FILE, (ENTRIES, domain), values, inherit, known[domain], NOT_SET), as_json)


@destconfig.command()
@options(Profile)
@click.option("--inherit", multiple=True, metavar="KEY", help="Take the built-in value of this key again.")
@JSON
@click.pass_obj
def default(context: CommandContext, /, inherit: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Stage changes of the Default entry, which holds for every destination."""
    bench = StagedEdits(context.gateway())
    values = _values(given)
    if not values and not inherit:
        _need_terminal("", "seg destconfig default --tls preferred ...")
        dialogue.edit_default(bench)
        return
    bench.stage(changed(FILE, ("default",), values, inherit, bench.table(FILE, "default"), NOT_SET), as_json)


@destconfig.command()
@click.option("--certificate", metavar="FILE", help='Certificate shown to servers that ask for one; "" for none.')
@click.option("--key", metavar="FILE", help='Its private key; "" when it is in the certificate file.')
@click.option("--tls-alert", type=WordChoice(["on", "off"]), help="Alert when TLS that is required fails.")
@JSON
@click.pass_obj
def setup(
    context: CommandContext, certificate: str | None, key: str | None, tls_alert: str | None, as_json: bool
) -> None:
    """Stage what holds for all destinations that don't say otherwise: the certificate shown to servers, and alerts.

    An alert is a Warning in the mail log and a message to the postmaster, at most once an hour for a destination.

    \b
    seg destconfig setup --certificate /etc/seg/client.pem --tls-alert on
    """
    bench = StagedEdits(context.gateway())
    given = {"certificate": certificate, "key": key, "tls_alert": None if tls_alert is None else tls_alert == "on"}
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        _need_terminal("", "seg destconfig setup --tls-alert on ...")
        dialogue.setup(bench)
        return
    bench.stage(dialogue.settle(bench.table(FILE, "default"), values), as_json)


@destconfig.command()
@click.argument("domains", nargs=-1, type=DestinationEntry(), required=True)
@JSON
@click.pass_obj
def delete(context: CommandContext, domains: tuple[str, ...], as_json: bool) -> None:
    """Stage the removal of the entries of DOMAINS; they are sent to by Default then."""
    bench = StagedEdits(context.gateway())
    known = bench.table(FILE, ENTRIES)
    missing = [domain for domain in domains if domain not in known]
    if missing:
        raise click.ClickException(f"{', '.join(missing)}: no such entry (seg destconfig list)")
    bench.stage([remove(FILE, (ENTRIES, domain)) for domain in domains], as_json)


@destconfig.command("clear")
@YES
@JSON
@click.pass_obj
def clear_(context: CommandContext, yes: bool, as_json: bool) -> None:
    """Stage the removal of every entry; Default stays."""
    clear(StagedEdits(context.gateway()), FILE, ENTRIES, "entries", yes, as_json)


@destconfig.command("import")
@FROM_FILE
@merge_or_replace("entries")
@JSON
@click.pass_obj
def import_(context: CommandContext, file: Path, how: str | None, as_json: bool) -> None:
    """Stage the destination controls of a FILE in the INI form that other gateways export.

    Of what such a file has, --replace makes exactly what the file says; --merge keeps what only seg knows and the file doesn't say.
    """
    from seg.config.vendor_ini import INIError, parse_ini

    try:
        tables = parse_ini(read(file), str(file))
    except INIError as error:
        raise click.ClickException("\n".join(error.problems)) from None
    bench = StagedEdits(context.gateway(120.0))
    known = bench.table(FILE, ENTRIES)
    gone = [domain for domain in known if domain not in tables.entries]
    replacing = replaces(how, gone, "entries", file)
    stated = bench.table(FILE, "default")
    default_values = {**({} if replacing else stated), **tables.default}
    edits = [put(FILE, ("default",), default_values)] if tables.default else []
    lost = _lost("DEFAULT", stated, default_values) if tables.default else []
    for domain, values in tables.entries.items():
        own = {**({} if replacing else _kept(known.get(domain))), **values}
        lost += _lost(domain, _kept(known.get(domain)), own)
        edits.append(put(FILE, (ENTRIES, domain), own))
    if replacing:
        edits += [remove(FILE, (ENTRIES, domain)) for domain in gone]
    for note in (*tables.notes, *lost):
        say(f"Note: {note}", err=True)
    bench.stage(edits, as_json)


@destconfig.command()
@TO_FILE
@click.pass_obj
def export(context: CommandContext, file: Path | None) -> None:
    """Write the destination controls, as you see them, to a FILE in INI form (or to the terminal)."""
    from seg.config.load import parse_destinations
    from seg.config.vendor_ini_format import extended, format_ini, left_out

    found = parse_destinations(context.gateway().get("/v1/configuration")["destinations"])
    write(file, format_ini(found))
    for note in left_out(found):
        say(f"Note: {note}", err=True)
    if sections := extended(found):
        more = f" and {len(sections) - SHOWN} more" if len(sections) > SHOWN else ""
        named = ", ".join(sections[:SHOWN])
        say(
            f"Note: {named}{more}: what only seg knows stands below a comment; take it out for other gateways.",
            err=True,
        )


def _need_terminal(domain: str | None, example: str) -> None:
    if not can_ask():
        what = "a domain" if domain is None else "what to set"
        raise click.UsageError(f"name {what}: {example}")


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """The keys that were given, and the exemption.

    :raises click.UsageError: half of an exemption.
    """
    until, reason = given.pop("exempt_until", None), given.pop("exempt_reason", None)
    values = {name: value for name, value in given.items() if value is not None}
    if (until is None) != (reason is None):
        raise click.UsageError("an exemption has an end and a reason: --exempt-until DATE --exempt-reason TEXT")
    if until is not None:
        values["exemption"] = {"until": _moment(until), "reason": reason}
    return values


def _moment(text: str) -> date:
    from seg.config.vendor_ini import moment

    try:
        return moment(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no date such as 2026-12-31 or 2026-12-31T18:00:00+01:00") from None


def _kept(known: dict[str, Any] | None) -> dict[str, Any]:
    """What an entry has that files of other gateways can't say: a file without it leaves it as it is."""
    from seg.config.vendor_ini import VENDOR_KEYS

    return {name: value for name, value in (known or {}).items() if name not in VENDOR_KEYS}


def _lost(section: str, stated: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """A line for the keys that --replace takes away because the file doesn't say them."""
    names = [name for name in stated if name not in values]
    return [f"[{section}] {', '.join(names)}: not in the file, removed by --replace"] if names else []


destconfig.add_command(list_)
destconfig.add_command(detail)
