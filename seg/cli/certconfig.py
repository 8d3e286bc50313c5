"""``seg certconfig``: the certificates of the listeners, and the authorities that are trusted."""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING, Any

import attrs
import click

from seg.cli.options import JSON
from seg.cli.tables import plain, print_json, print_table

if TYPE_CHECKING:
    from seg.tls.inventory import Listed, ServerFile, TrustList


@click.group()
def certconfig() -> None:
    """Certificates of the listeners, and the authorities trusted for other hosts. Works without the gateway running.

    \b
    seg certconfig list                          each listener's certificate: until when, and what is wrong
    seg certconfig check new.pem new.key         would this one do?
    seg certconfig authorities --custom          the authorities that you added

    To use another: seg listenerconfig edit NAME --certificate FILE --key FILE (a file that changes in place is read
    again by itself); seg sslconfig --extra-ca-file FILE adds authorities, --ca-file FILE replaces the system's list.
    Exit status: 0; 1 when a certificate can't be used or ends within three weeks.
    """


@certconfig.command("list")
@JSON
@click.pass_obj
def list_certificates(surroundings: Any, as_json: bool) -> None:
    """Every listener's certificates, with their chains and what is wrong with them."""
    from seg.tls.inventory import server_file

    now = datetime.datetime.now(datetime.UTC)
    found = [
        (listener.name, server_file(certificate, key, now))
        for listener in surroundings.settings().listener
        for certificate, key in ((listener.certificate, listener.key), *((f, "") for f in listener.more_certificates))
        if certificate
    ]
    if as_json:
        print_json({"certificates": [{"listener": name, **attrs.asdict(file)} for name, file in found]})
    elif not found:
        click.echo(
            "No listener has a certificate: seg listenerconfig edit NAME --certificate FILE --key FILE --tls starttls"
        )
    for name, file in [] if as_json else found:
        click.echo(f"Listener {name}: {file.file}")
        _show(file)
    sys.exit(1 if any(file.problems for _, file in found) else 0)


@certconfig.command()
@click.argument("certificate")
@click.argument("key", default="")
@JSON
def check(certificate: str, key: str, as_json: bool) -> None:
    """Would a certificate do? CERTIFICATE is a PEM file with the intermediates behind it, KEY the file of its key."""
    from seg.tls.inventory import server_file

    file = server_file(certificate, key, datetime.datetime.now(datetime.UTC))
    if as_json:
        print_json(attrs.asdict(file))
    else:
        _show(file)
        if not file.problems:
            click.echo("Nothing is wrong with it.")
    sys.exit(1 if file.problems else 0)


@certconfig.command()
@click.option("--custom", is_flag=True, help="Only those that were added (tls.extra_ca_file).")
@click.option("--expiring", type=click.IntRange(0), metavar="DAYS", help="Only those that end within so many days.")
@JSON
@click.pass_obj
def authorities(surroundings: Any, custom: bool, expiring: int | None, as_json: bool) -> None:
    """The authorities trusted for other hosts: the system's list (or tls.ca_file), and those added."""
    from seg.tls.inventory import trust_list
    from seg.tls.roots import system_list

    tls, now = surroundings.settings().tls, datetime.datetime.now(datetime.UTC)
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
    if as_json:
        print_json({"lists": [{"kind": kind, **attrs.asdict(each)} for kind, each in lists.items()]})
        return
    if not lists:
        click.echo("No authorities were added: seg sslconfig --extra-ca-file FILE adds some.")
    for kind, each in lists.items():
        click.echo(f"{kind.capitalize()} list, {plain(each.file)}: {len(each.roots)} authorities")
        for problem in each.problems:
            click.echo(f"  ! {plain(problem)}")
        if each.roots:
            columns = (("Authority", "left"), ("Until", "left"), ("Days", "right"))
            print_table(columns, [(root.subject, root.not_after[:10], root.days_left) for root in each.roots])


def _show(file: ServerFile) -> None:
    """The chain from the server's own certificate up, and the faults."""
    for depth, each in enumerate(file.chain):
        click.echo(f"  {depth}  {plain(each.subject)}, issued by {plain(each.issuer)}")
        click.echo(f"     {_dates(each)}")
        if each.names and not depth:
            click.echo(f"     for {plain(', '.join(each.names))}")
    for problem in file.problems:
        click.echo(f"  ! {plain(problem)}")


def _dates(each: Listed) -> str:
    left = f"{each.days_left} days left" if each.days_left >= 0 else "expired"
    return f"from {each.not_before[:10]} until {each.not_after[:10]} ({left})"
