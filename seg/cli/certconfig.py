"""``seg certconfig``: our own certificates, and the authorities that are trusted."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import attrs
import click

from seg.cli.certconfig_files import certificates_in_use, checked, delete, export, new
from seg.cli.context import CommandContext
from seg.cli.dialogue import menu
from seg.cli.options import JSON, Answering, asked, json_or_text, to_be_asked
from seg.cli.output import say
from seg.cli.rights import as_owner_of
from seg.cli.tables import plain, print_json, print_table
from seg.common.files import replace_file
from seg.tls.inventory import CertificateSummary, ServerFile, TrustList, server_file, trust_list
from seg.tls.roots import system_list

KEY_QUESTION = "Enter the PEM file of its private key (in the certificate's file: nothing):"
OPERATIONS = {
    "LIST": "Show the certificates in use, and what is wrong with them.",
    "NEW": "Make a key with a certificate signed by itself.",
    "IMPORT": "Check a certificate, and put it into place.",
    "EXPORT": "Write the chain of a certificate as PEM.",
    "DELETE": "Delete a certificate that isn't in use, with its key.",
    "CHECK": "Say whether a certificate would do.",
    "AUTHORITIES": "Show the authorities that are trusted.",
}


@click.group(invoke_without_command=True)
@click.pass_context
def certconfig(context: click.Context) -> None:
    """Our own certificates, and the authorities trusted for other hosts. Works without the gateway running.

    Without a verb, on a terminal, it asks.

    \b
    seg certconfig list                          each certificate in use: until when, and what is wrong
    seg certconfig check new.pem new.key         would this one do?
    seg certconfig import mx new.pem new.key     put it into place as certificates/mx.pem
    seg certconfig new mx mx.example.com         make one, signed by itself; --request: for an authority
    seg certconfig export mx chain.pem           its chain, without the key
    seg certconfig authorities --custom          the authorities that you added

    A listener uses one by: seg listenerconfig edit NAME --certificate FILE --key FILE; other servers see one by: seg
    destconfig setup --certificate FILE. A file that changes in place is read again by itself. seg sslconfig
    --extra-ca-file FILE adds authorities, --ca-file FILE replaces the system's list.
    Exit status: 0; 1 when a certificate can't be used or ends within three weeks.
    """
    if not to_be_asked(context):
        return
    chosen = menu("Certificates and authorities:", OPERATIONS)
    if chosen:
        # As if it had been typed, so that what is missing is asked for.
        certconfig.commands[chosen.lower()].main([], "", parent=context, standalone_mode=False)


@certconfig.command("list")
@JSON
@click.pass_obj
def list_certificates(context: CommandContext, as_json: bool) -> None:
    """Every certificate in use, by listeners and towards other servers, with its chain and what is wrong with it."""
    now = datetime.datetime.now(datetime.UTC)
    found = [
        (use.user, server_file(use.certificate, use.key, now))
        for use in certificates_in_use(context)
        if use.certificate and not use.inherited
    ]
    if as_json:
        print_json({"certificates": [{"used_by": user, **attrs.asdict(file)} for user, file in found]})
    elif not found:
        say("No listener has a certificate: seg listenerconfig edit NAME --certificate FILE --key FILE --tls starttls")
    for user, file in [] if as_json else found:
        say(f"{user[0].upper()}{user[1:]}: {file.file}")
        _show(file)
    sys.exit(1 if any(file.problems for _, file in found) else 0)


@certconfig.command("import")
@asked("name", "Enter a name for the certificate:")
@asked("certificate", "Enter the PEM file of the certificate:", type=click.Path(path_type=Path))
@asked("key", KEY_QUESTION, type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Put it into place although something is wrong with it.")
@JSON
@click.pass_obj
def import_(
    context: CommandContext, name: str, certificate: Path, key: Path | None, force: bool, as_json: bool
) -> None:
    """Check a certificate, and put it with its key into certificates/NAME.pem beside seg.toml, readable by the owner and the group of
    that folder.

    CERTIFICATE is a PEM file with the intermediates behind it, KEY the file of its key (without: in the same file). One
    of the same name is replaced; who uses it reads the new one within half a minute, without a restart.
    """
    checked(name)
    file = server_file(str(certificate), str(key or ""), datetime.datetime.now(datetime.UTC))
    usable = bool(file.chain) and not (file.problems and not force)
    target = context.files().settings.parent / "certificates" / f"{name}.pem"
    if usable:
        try:
            _put(target, [certificate, key] if key else [certificate])
        except OSError as error:
            raise click.ClickException(f"{error.filename or target}: {error.strerror}") from None
    if as_json:
        print_json({"file": str(target) if usable else "", "imported": usable, **_without_place(file)})
    else:
        _show(file)
        if usable:
            say(f"Imported as {target}.")
            say(f"To use it: seg listenerconfig edit NAME --certificate {target}, then seg commit")
        else:
            say("Not imported." + (" --force imports it all the same." if file.chain else ""))
    sys.exit(0 if usable else 1)


def _put(target: Path, parts: list[Path]) -> None:
    """Write the parts as one file, for the owner and the group of the configuration's folder."""
    data = b"".join(part.read_bytes().rstrip() + b"\n" for part in parts)
    with as_owner_of(target.parent.parent):
        target.parent.mkdir(mode=0o750, exist_ok=True)
        replace_file(target, data, 0o640)


def _without_place(file: ServerFile) -> dict[str, Any]:
    return {"chain": [attrs.asdict(each) for each in file.chain], "problems": list(file.problems)}


@certconfig.command()
@asked("certificate", "Enter the PEM file of the certificate:")
@asked("key", KEY_QUESTION, required=False)
@JSON
def check(certificate: str, key: str | None, as_json: bool) -> None:
    """Would a certificate do? CERTIFICATE is a PEM file with the intermediates behind it, KEY the file of its key."""
    file = server_file(certificate, key or "", datetime.datetime.now(datetime.UTC))
    if as_json:
        print_json(attrs.asdict(file))
    else:
        _show(file)
        if not file.problems:
            say("Nothing is wrong with it.")
    sys.exit(1 if file.problems else 0)


@certconfig.command()
@click.option("--custom", is_flag=True, help="Only those that were added (tls.extra_ca_file).")
@click.option("--expiring", type=click.IntRange(0), metavar="DAYS", help="Only those that end within so many days.")
@json_or_text
def authorities(context: CommandContext, custom: bool, expiring: int | None) -> Answering:
    """The authorities trusted for other hosts: the system's list (or tls.ca_file), and those added."""
    tls, now = context.settings().tls, datetime.datetime.now(datetime.UTC)
    lists: dict[str, TrustList] = {}
    if not custom:
        lists["given" if tls.ca_file else "system"] = trust_list(tls.ca_file or system_list(), now)
    if tls.extra_ca_file:
        lists["custom"] = trust_list(tls.extra_ca_file, now)
    if expiring is not None:
        lists = {
            kind: attrs.evolve(each, roots=tuple(root for root in each.roots if root.days_left <= expiring))
            for kind, each in lists.items()
        }
    yield {"lists": [{"kind": kind, **attrs.asdict(each)} for kind, each in lists.items()]}
    if not lists:
        say("No authorities were added: seg sslconfig --extra-ca-file FILE adds some.")
    for kind, each in lists.items():
        say(f"{kind.capitalize()} list, {plain(each.file)}: {len(each.roots)} authorities")
        for problem in each.problems:
            say(f"  ! {plain(problem)}")
        if each.roots:
            columns = (("Authority", "left"), ("Until", "left"), ("Days", "right"))
            print_table(columns, [(root.subject, root.not_after[:10], root.days_left) for root in each.roots])


def _show(file: ServerFile) -> None:
    """The chain from the server's own certificate up, and the faults."""
    for depth, each in enumerate(file.chain):
        say(f"  {depth}  {plain(each.subject)}, issued by {plain(each.issuer)}")
        say(f"     {_dates(each)}")
        if each.names and not depth:
            say(f"     for {plain(', '.join(each.names))}")
    for problem in file.problems:
        say(f"  ! {plain(problem)}")


def _dates(each: CertificateSummary) -> str:
    left = f"{each.days_left} days left" if each.days_left >= 0 else "expired"
    return f"from {each.not_before[:10]} until {each.not_after[:10]} ({left})"


for command in (new, export, delete):
    certconfig.add_command(command)
