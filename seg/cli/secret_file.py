"""The files of users and of tokens, as the commands that work on them read and change them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import attrs
import click

from seg.auth.users_file import change, read_text
from seg.cli.context import CommandContext
from seg.cli.rights import as_owner_of
from seg.config.schema import Settings

T = TypeVar("T")


@attrs.frozen
class SecretFile(Generic[T]):
    """One of them.

    :param folder: that of the configuration that names it; root looks there as its owner.
    """

    path: Path
    folder: Path
    parse: Callable[[str], T]

    def read(self) -> T:
        """What stands in it; one that isn't there is empty.

        :raises click.ClickException: it can't be read.
        """
        try:
            with as_owner_of(self.folder):
                return self.parse(read_text(self.path))
        except FileNotFoundError:
            return self.parse("")
        except OSError as error:
            raise click.ClickException(f"{self.path} can't be read: {error.strerror or error}") from None

    def change(self, edit: Callable[[str], str]) -> None:
        """Replace its text, as the owner of the configuration if root asks.

        :raises click.ClickException: it can't be written; nothing is changed then.
        """
        try:
            with as_owner_of(self.folder):
                change(self.path, edit)
        except OSError as error:
            raise click.ClickException(
                f"{self.path} can't be written: {error.strerror or error}; be the user that the configuration belongs to"
            ) from None


def secret_file(
    context: CommandContext, place: Callable[[Settings, Path], Path], parse: Callable[[str], T]
) -> SecretFile[T]:
    """The file that the configuration names."""
    settings_file = context.files().settings
    return SecretFile(place(context.settings(), settings_file), settings_file.parent, parse)
