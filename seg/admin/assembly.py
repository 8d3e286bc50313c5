"""Where operators with tokens come in, put together by the configuration."""

from __future__ import annotations

from pathlib import Path

from seg.admin.token_access import TokenAccess
from seg.admin.tokens import parse_tokens
from seg.auth.backoff import Backoff
from seg.auth.reloading_file import FileFormat, ReloadingFile
from seg.config.paths import tokens_path
from seg.config.schema import Settings
from seg.events.runtime import Runtime


def build_token_access(runtime: Runtime, settings: Settings, file: Path) -> TokenAccess:
    """Who lets them in; failures are counted apart from those of mail users.

    :param file: where the settings stand.
    """
    seconds = runtime.reactor.seconds
    kind = FileFormat("tokens file", parse_tokens, "no token counts", "seg token add")
    tokens = ReloadingFile(tokens_path(settings, file), kind, runtime.in_thread, runtime.sink, seconds, 0.0)
    return TokenAccess(tokens, Backoff(seconds), runtime.reactor, runtime.sink)
