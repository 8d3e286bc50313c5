"""The unix socket that the ``seg`` command talks to, and the user at its other end."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
import struct
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUNIX
from twisted.web.http import Request as HTTPRequest
from twisted.web.server import Request, Site

from seg.admin.http import APIResource, RouteTable
from seg.config.problems import SettingError, meant

MAX_PATH = 107  # sun_path of unix(7), without its final NUL


class UnloggedSite(Site):
    """Keeps no access log: what an operator changes is in the mail log, and what he looks at concerns nobody."""

    noisy = False

    def logPrefix(self) -> str:
        """What Twisted's own log calls it."""
        return "Control socket"

    def log(self, request: HTTPRequest) -> None:
        """Nothing."""


def listen(reactor: IReactorUNIX, path: Path, mode: int, routes: RouteTable, group: str = "") -> IListeningPort:
    """Serve the API at `path`. A socket left behind by a gateway that was killed is replaced: the caller holds the lock of the
    gateway's folders, and nobody answers there.

    :param mode: permissions of the socket.
    :param group: whom it belongs to besides; "" = the gateway's own group.
    :raises ConfigurationError: when the path is too long for a socket, or the group isn't there or may not be given.
    :raises twisted.internet.error.CannotListenError: when another process is alive there, or the folder can't be used.
    """
    if len(bytes(path)) > MAX_PATH:
        problem = f"{path} is longer than the {MAX_PATH} octets that a unix socket may have; set a shorter path"
        raise SettingError(("control", "socket"), problem)
    _make_room(path)
    site: Any = UnloggedSite(APIResource(routes, peer_user), timeout=60)
    site.displayTracebacks = False
    if not group:
        return reactor.listenUNIX(str(path), site, mode=mode)
    number = group_number(group)
    # For nobody else until it is the group's.
    port = reactor.listenUNIX(str(path), site, mode=mode & 0o700)
    try:
        belongs_to(path, number, mode)
    except OSError as error:
        port.stopListening()
        problem = (
            f"the socket can't be given to group \"{group}\" ({error.strerror}): the gateway's user must belong to it"
        )
        raise SettingError(("control", "group"), problem) from error
    return port


def _make_room(path: Path) -> None:
    """Remove what a gateway that was killed left at a socket's place, and the link that earlier versions made beside it.

    :raises twisted.internet.error.CannotListenError: somebody answers there.
    """
    link = path.with_name(path.name + ".lock")
    if link.is_symlink():
        link.unlink(missing_ok=True)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return  # nothing of ours: binding fails, and says so
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:  # EAGAIN: its backlog is full
            raise CannotListenError(None, str(path), error) from error
    raise CannotListenError(None, str(path), OSError(errno.EADDRINUSE, "another process answers there"))


def belongs_to(path: Path, group: int, mode: int) -> None:
    """Give a socket to a group (its number), with these permissions.

    :raises OSError: it may not be given.
    """
    path.chmod(mode & 0o700)
    os.chown(path, -1, group)
    path.chmod(mode)


def group_number(name: str) -> int:
    """The number of a group.

    :raises ConfigurationError: there is none.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        hint = meant(name, [group.gr_name for group in grp.getgrall()])
        raise SettingError(("control", "group"), f'there is no group "{name}"{hint}') from None


async def peer_user(request: Request) -> str:
    """The user name of the process at the other end (SO_PEERCRED of unix(7)), for the log."""
    transport = request.channel.transport if request.channel else None
    sock = getattr(transport, "socket", None)
    if sock is None:
        return "unknown"
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid = struct.unpack("3i", raw)[1]
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
