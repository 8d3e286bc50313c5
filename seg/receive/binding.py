"""A listener's socket: bound early, while ports below 1024 may still be bound, and served later."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from seg.config.schema import Listener
from seg.errors import ConfigurationError

BACKLOG = 1024  # connections that the kernel holds for us


def bind(listener: Listener) -> socket.socket:
    """A listening socket; clients wait in the kernel's backlog until a factory serves it.

    :raises ConfigurationError: the address can't be had; the text says what to do.
    """
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
        raise ConfigurationError((_objection(listener, error),)) from error
    return bound


def _objection(listener: Listener, error: OSError) -> str:
    advice = ""
    if isinstance(error, PermissionError) and listener.port < 1024:
        advice = "; ports below 1024 need root: start as root, with twistd --uid and --gid to give the rights up"
    where = f"{listener.address}:{listener.port}"
    return f"listener {listener.name}: can't listen at {where}: {error.strerror}{advice}"
