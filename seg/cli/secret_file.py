"""The files of users and of tokens, as the commands that work on them read and change them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from seg.cli.rights import as_owner_of

T = TypeVar("T")


def read(path: Path, parse: Callable[[str], T], configuration: Path) -> T:
    """What stands in a file; one that isn't there is empty.

    :param configuration: the folder of the configuration that names it; root looks there as its owner.

    :raises click.ClickException: it can't be read.
    """
    from seg.auth.users_file import read_text

    try:
        with as_owner_of(configuration):
            return parse(read_text(path))
    except FileNotFoundError:
        return parse("")
    except OSError as error:
        raise click.ClickException(f"{path} can't be read: {error.strerror or error}") from None


def change(path: Path, edit: Callable[[str], str], configuration: Path) -> None:
    """Replace a file's text, as the owner of the configuration that names it if root asks.

    :raises click.ClickException: it can't be written; nothing is changed then.
    """
    from seg.auth.users_file import change as replace

    try:
        with as_owner_of(configuration):
            replace(path, edit)
    except OSError as error:
        raise click.ClickException(
            f"{path} can't be written: {error.strerror or error}; be the user that the configuration belongs to"
        ) from None
