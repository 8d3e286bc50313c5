"""What systemd is told of our state (sd_notify(3)); without systemd nothing happens."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

READY = "READY=1"
STOPPING = "STOPPING=1"


def tell(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send one datagram to NOTIFY_SOCKET, if there is one. Never blocks, never raises: a supervisor that is deaf changes nothing."""
    place = environment.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    address = "\0" + place[1:] if place.startswith("@") else place  # the abstract names of unix(7)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto(state.encode("ascii"), address)
