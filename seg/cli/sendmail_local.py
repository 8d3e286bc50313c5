"""Whether anybody takes mail for users of this machine, found out before a message is dropped."""

from __future__ import annotations

import os
from functools import cached_property

import attrs

from seg.auth.users_file import read_text
from seg.cli.sendmail_names import is_user
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles
from seg.config.load import load_destinations
from seg.config.paths import aliases_path
from seg.config.schema import Settings
from seg.local.aliases import parse_aliases
from seg.local.table import LocalTable, NoTaker, local_domains, local_table

INCLUDED = (
    "somebody@included.invalid"  # a file that is included isn't read here: only the gateway may have to be able to
)


@attrs.frozen(slots=False)
class LocalUsers:
    """What this program can find out; what it may not read is left to the gateway to judge."""

    settings: Settings
    hostname: str
    files: ConfigurationFiles

    def objection(self, address: str) -> tuple[int, str] | None:
        """The exit status and the text for an address whose mail nobody takes; None when somebody may."""
        table = self._table
        if table is None or not table.is_local(address):
            return None
        takers = table.takers(address)
        if takers.none is NoTaker.BROKEN:
            return os.EX_UNAVAILABLE, f"{address}: {aliases_path(self.files.settings)}, {takers.fault}"
        if takers.none is None or table.elsewhere:
            return None
        advice = (
            f"name the user in {aliases_path(self.files.settings)}, or set local_users (gateway.postmaster for root)"
        )
        return os.EX_NOUSER, f"nobody takes mail for {address} here: {advice}"

    def known(self, name: str) -> bool:
        """Whether somebody here has the name."""
        return is_user(name) or (self._table is not None and bool(self._table.aliases.key(name.lower())))

    @cached_property
    def _table(self) -> LocalTable | None:
        """None: it can't be told from here."""
        try:
            destinations = load_destinations(self.files.destinations)
            domains = local_domains(self.settings.gateway, self.hostname, destinations)
            aliases = parse_aliases(self._text(), lambda path: INCLUDED, domains.__contains__)
        except (OSError, ConfigurationError):
            return None
        return local_table(self.settings.gateway, self.hostname, destinations, aliases)

    def _text(self) -> str:
        try:
            return read_text(aliases_path(self.files.settings))
        except FileNotFoundError:
            return ""
