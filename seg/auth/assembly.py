"""Where clients authenticate, put together by the configuration."""

from __future__ import annotations

from pathlib import Path

from seg.auth.backoff import Backoff
from seg.auth.checker import UsersChecker
from seg.auth.interfaces import CheckerContext
from seg.auth.plugins import checker_named
from seg.auth.sasl_server import MOST_HASHING, SASLServer
from seg.auth.store import UserStore
from seg.config.paths import users_path
from seg.config.receive import ListenerAuth
from seg.config.schema import Settings
from seg.events.runtime import Runtime


def build_sasl_server(runtime: Runtime, settings: Settings, file: Path, backoff: Backoff) -> SASLServer | None:
    """Where clients authenticate; None when no listener lets them.

    :param file: where the settings stand.
    :param backoff: goes on under a new configuration.
    :raises ConfigurationError: the checker isn't there, or can't be made.
    """
    if all(listener.auth is ListenerAuth.OFF for listener in settings.listener):
        return None
    reactor, sink, in_thread = runtime.reactor, runtime.sink, runtime.in_thread
    if settings.auth.checker:
        checker = checker_named(settings.auth.checker, CheckerContext(sink, reactor, in_thread))
    else:
        store = UserStore(users_path(settings, file), in_thread, sink, reactor.seconds)
        checker = UsersChecker(store, in_thread, MOST_HASHING)
    return SASLServer(checker, backoff, reactor, settings.auth.mechanisms)
