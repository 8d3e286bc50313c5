"""``seg certconfig new``, ``export`` and ``delete``: keys and certificates in ``certificates/`` beside seg.toml."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

from seg.cli.context import CommandContext
from seg.cli.dialogue import sure
from seg.cli.options import YES, Answering, asked, json_or_text
from seg.cli.output import say
from seg.cli.rights import as_owner_of
from seg.config.problems import offered

FOLDER = "certificates"
PUBLIC, SECRET = 0o644, 0o640  # permissions of what anybody may see, and of what has a key

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@click.command()
@asked("name", "Enter a name for the certificate:")
@asked("hosts", "Enter the host name that it is for:", nargs=-1, required=True)
@click.option("--request", is_flag=True, help="Make a key and a request for an authority instead (PKCS #10, RFC 2986).")
@click.option("--force", is_flag=True, help="Replace files of the same name.")
@json_or_text
def new(context: CommandContext, name: str, hosts: Any, request: bool, force: bool) -> Answering:
    """Make a key and a certificate signed by itself for HOSTS, as certificates/NAME.pem beside seg.toml.

    With --request: the key as certificates/NAME.key and a request as certificates/NAME.csr. What an authority makes of it comes in by: seg
    certconfig import NAME FILE certificates/NAME.key.
    """
    from seg.tls.selfsigned import self_signed, signing_request

    names = _hosts([hosts] if isinstance(hosts, str) else hosts)
    folder = _folder(context)
    if request:
        key, csr = signing_request(names)
        files = {folder / f"{checked(name)}.key": (key, SECRET), folder / f"{name}.csr": (csr, PUBLIC)}
    else:
        pem = self_signed(names[0], datetime.datetime.now(datetime.UTC), *names[1:])
        files = {folder / f"{checked(name)}.pem": (pem, SECRET)}
    _write(folder, files, force)
    yield {"files": [str(path) for path in files], "names": list(names)}
    for path in files:
        say(f"Written: {path}")
    if request:
        say(f"Give {folder / name}.csr to your authority; then: seg certconfig import {name} FILE {folder / name}.key")
    else:
        say(f"To use it: seg listenerconfig edit NAME --certificate {folder / name}.pem, then seg commit")
        say("It is signed by itself: clients can encrypt, but have nothing to verify it by.")


@click.command()
@asked("name", "Enter the name of the certificate:")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--with-key", is_flag=True, help="The private key, too.")
@click.pass_obj
def export(context: CommandContext, name: str, file: Path | None, with_key: bool) -> None:
    """Write the chain of certificates/NAME.pem as PEM to a FILE, or to the terminal; without its key unless that is asked for.

    A FILE that is there isn't replaced.
    """
    from seg.common.errors import ConfigurationError
    from seg.tls.inventory import exported

    source = _folder(context) / f"{checked(name)}.pem"
    try:
        pem = exported(str(source), with_key)
        if file is None:
            say(pem.decode("ascii"), nl=False)
            return
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if with_key else PUBLIC)
        with os.fdopen(descriptor, "wb") as written:
            written.write(pem)
    except ConfigurationError as error:
        raise click.ClickException("\n".join(error.problems)) from None
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    say(f"Written: {file}")


@click.command()
@asked("name", "Enter the name of the certificate:")
@YES
@json_or_text
def delete(context: CommandContext, name: str, yes: bool) -> Answering:
    """Delete certificates/NAME.pem with its key, and NAME.key and NAME.csr beside it; what is in use is not deleted."""
    folder = _folder(context)
    files = [path for kind in ("pem", "key", "csr") if (path := folder / f"{checked(name)}.{kind}").exists()]
    if not files:
        there = sorted(path.stem for path in folder.glob("*.pem"))
        raise click.ClickException(f"there is no {folder / name}.pem{offered(name, there)}")
    for user, path in _files_in_use(context):
        if path.resolve() in {each.resolve() for each in files}:
            raise click.ClickException(f"{path} is in use by {user}: give that another one first, and commit")
    sure(
        f"Are you sure you want to delete {', '.join(path.name for path in files)}?", "this deletes a key for good", yes
    )
    with as_owner_of(folder):
        for path in files:
            path.unlink()
    yield {"deleted": [str(path) for path in files]}
    say(f"Deleted: {', '.join(map(str, files))}")


@attrs.frozen
class CertificateUse:
    """A certificate that we show, by whom, and the file of its key."""

    user: str
    certificate: str
    key: str
    inherited: bool = False  # from the entry that holds for all other servers


def certificates_in_use(context: CommandContext) -> list[CertificateUse]:
    """All of them."""
    settings, destinations = context.settings(), context.destinations()
    found = []
    for listener in settings.listener:
        pairs = ((listener.certificate, listener.key), *((file, "") for file in listener.more_certificates))
        found += [CertificateUse(f"listener {listener.name}", *pair) for pair in pairs]
    found.append(CertificateUse("the admin API", settings.control.certificate, settings.control.key))
    found.append(CertificateUse("all other servers", destinations.default.certificate, destinations.default.key))
    for pattern, profile in destinations.profiles.items():
        inherited = "certificate" not in destinations.stated.get(pattern, ())
        found.append(CertificateUse(f"servers of {pattern}", profile.certificate, profile.key, inherited))
    return found


def _files_in_use(context: CommandContext) -> Iterator[tuple[str, Path]]:
    """By whom, and the file, be it a certificate or a key."""
    for use in certificates_in_use(context):
        yield from ((use.user, Path(file)) for file in (use.certificate, use.key))
    for listener in context.settings().listener:
        yield f"listener {listener.name}", Path(listener.client_certificates)


def checked(name: str) -> str:
    """A name for a file.

    :raises click.UsageError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f"{name!r}: a name has letters, digits, dots, hyphens and underscores, such as mx.example.com"
        )
    return name


def _hosts(names: Any) -> tuple[str, ...]:
    from seg.config.syntax import parse_hostname

    try:
        return tuple(dict.fromkeys(parse_hostname(name) for name in names))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _folder(context: CommandContext) -> Path:
    return context.files().settings.absolute().parent / FOLDER


def _write(folder: Path, files: dict[Path, tuple[bytes, int]], force: bool) -> None:
    """All of them, for the owner and the group of the configuration's folder."""
    from seg.common.files import replace_file

    if there := [str(path) for path in files if path.exists() and not force]:
        raise click.ClickException(f"{there[0]} is there already: --force replaces it, or take another name")
    try:
        with as_owner_of(folder.parent):
            folder.mkdir(mode=0o750, exist_ok=True)
            for path, (data, mode) in files.items():
                replace_file(path, data, mode)
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from None
