"""A listener's socket: bound early, while ports below 1024 may still be bound, and served later."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from ipaddress import ip_address

from seg.common.endpoint import endpoint
from seg.config.problems import SettingError
from seg.config.receive import ListenerSettings

BACKLOG = 1024  # connections that the kernel holds for us
FIRST_INHERITED = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)


def bind(listener: ListenerSettings) -> socket.socket:
    """A listening socket; clients wait in the kernel's backlog until a factory serves it. One that systemd listens at for us is
    taken as it is.

    :raises SettingError: the address can't be had; the text says what to do, and the key is one of the listener's table.
    """
    if (given := inherited(listener)) is not None:
        return given
    family = socket.AF_INET6 if ip_address(listener.address).version == 6 else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((listener.address, listener.port))
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise _objection(listener, error) from error
    return bound


def inherited(
    listener: ListenerSettings, environment: Mapping[str, str] | None = None, first: int = FIRST_INHERITED
) -> socket.socket | None:
    """A duplicate of the socket at a listener's address that systemd passed to this process (LISTEN_FDS), if there is one.

    The original stays open, so that a listener that a new configuration brings back finds it again.
    """
    environment = _first_environment() if environment is None else environment
    count = environment.get("LISTEN_FDS", "")
    if not count.isdecimal() or environment.get("LISTEN_PID") != str(os.getpid()):
        return None  # meant for a process before us
    for descriptor in range(first, first + int(count)):
        try:
            given = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue  # no socket
        if _listens_at(given, listener):
            given.setblocking(False)
            return given
        given.close()
    return None


def _first_environment() -> Mapping[str, str]:
    """The environment that this process began with: Twisted's endpoints have taken LISTEN_* out of `os.environ`."""
    try:
        with open("/proc/self/environ", "rb") as file:
            words = os.fsdecode(file.read()).split("\0")
    except OSError:
        return os.environ
    return dict(word.split("=", 1) for word in words if "=" in word)


def _listens_at(given: socket.socket, listener: ListenerSettings) -> bool:
    if given.family not in (socket.AF_INET, socket.AF_INET6) or given.type != socket.SOCK_STREAM:
        return False
    address, port = given.getsockname()[:2]
    listening = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return bool(listening) and port == listener.port and ip_address(address) == ip_address(listener.address)


def _objection(listener: ListenerSettings, error: OSError) -> SettingError:
    """The key of the listener, and what to do."""
    advice, key = "", "port"
    if isinstance(error, PermissionError) and listener.port < 1024:
        advice = (
            "; ports below 1024 need root: start as root, with twistd --uid and --gid to give the rights up, "
            "or by systemd (docs/install.md)"
        )
    elif error.errno == errno.EADDRINUSE:
        advice = (
            f"; another program listens there: see which (ss -ltnp 'sport = :{listener.port}'), or take another port"
        )
    elif error.errno == errno.EADDRNOTAVAIL:
        advice, key = "; this machine has no such address (ip address show)", "address"
    where = endpoint(listener.address, listener.port)
    return SettingError((key,), f"listener {listener.name}: can't listen at {where}: {error.strerror}{advice}")
