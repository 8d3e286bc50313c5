"""Where the gateway keeps its files: all below ``var``."""

from __future__ import annotations

from pathlib import Path

from seg.config.schema import Settings


def var_path(settings: Settings) -> Path:
    """The folder of everything that changes."""
    return Path(settings.gateway.var)


def socket_path(settings: Settings) -> Path:
    """The control socket."""
    return Path(settings.control.socket) if settings.control.socket else var_path(settings) / "run" / "seg.sock"


def log_path(settings: Settings) -> Path:
    """The mail log; its JSON twin stands beside it."""
    return var_path(settings) / "log" / "mail.log"


def spool_path(settings: Settings) -> Path:
    """The queue."""
    return var_path(settings) / "spool"


def users_path(settings: Settings, file: Path) -> Path:
    """The users file: as named, else beside the settings' own `file`."""
    return Path(settings.auth.users) if settings.auth.users else file.parent / "users"


def aliases_path(file: Path) -> Path:
    """The aliases: beside the settings' own `file`."""
    return file.parent / "aliases"


def tokens_path(settings: Settings, file: Path) -> Path:
    """The tokens of the admin API: as named, else beside the settings' own `file`."""
    return Path(settings.control.tokens) if settings.control.tokens else file.parent / "tokens"


def drop_path(settings: Settings) -> Path:
    """Where programs of this machine leave mail (``seg-sendmail``)."""
    return var_path(settings) / "maildrop"


def seen_dane_path(settings: Settings) -> Path:
    """What is known to have DANE."""
    return var_path(settings) / "cache" / "dane.json"


def policy_cache_path(settings: Settings) -> Path:
    """The MTA-STS policies known."""
    return var_path(settings) / "cache" / "mta-sts"
