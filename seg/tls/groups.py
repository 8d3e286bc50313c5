"""Key exchange groups (RFC 8446 §4.2.7): which are offered, and hosts that are to be offered classical ones only.

A share of a post-quantum group makes a client hello of two TCP segments. Some hosts, and devices on the way to some, mishandle it. So the first
group of the list, the only one that a share is sent of, is a classical one by default; a server that wants another one asks for it.
"""

from __future__ import annotations

from OpenSSL import SSL

from seg.common.bounded import BoundedMap
from seg.common.errors import ConfigurationError
from seg.config.syntax import is_post_quantum

REMEMBERED = 24 * 3600.0  # seconds that a host is offered classical groups only
MOST_PEERS = 10_000


def classical(groups: str) -> str:
    """The list without post-quantum groups, in the same order; "" when nothing is left, or nothing was there."""
    return ":".join(name for name in groups.split(":") if name and not is_post_quantum(name))


def apply_groups(context: SSL.Context, groups: str) -> None:
    """Have a context offer (or, of a server, take) these groups; those that this OpenSSL is too old for are left out.

    :param groups: names with colons between; "" = OpenSSL's own choice.
    :raises ConfigurationError: OpenSSL knows none of them.
    """
    if groups and not _set(context, ":".join(name for name in groups.split(":") if _set(context, name))):
        raise ConfigurationError((f"[tls] OpenSSL knows none of the groups {groups!r}",))


def _set(context: SSL.Context, names: str) -> bool:
    # pyOpenSSL has no public name for it.
    lib, handle = SSL._lib, context._context  # type: ignore[attr-defined]
    done = bool(names) and lib.SSL_CTX_set1_curves_list(handle, names.encode("ascii", "replace")) == 1
    lib.ERR_clear_error()
    return done


def group_of(connection: SSL.Connection) -> str:
    """The group of a handshake that is done, as OpenSSL calls it; "" for none (RSA key exchange), or where OpenSSL can't say."""
    try:
        return connection.get_group_name() or ""
    except NotImplementedError:
        return ""


class ClassicalPeers:
    """Peers whose handshake came about with classical groups only: for a day that is all they are offered."""

    def __init__(self) -> None:
        self._since: BoundedMap[str, float] = BoundedMap(MOST_PEERS)

    def __len__(self) -> int:
        return len(self._since)

    def add(self, peer: str, now: float) -> None:
        """Remember one, from now or from when it was added; the one remembered longest is forgotten for it if there are too many."""
        self._since.setdefault(peer, now)

    def has(self, peer: str, now: float) -> bool:
        """Whether a peer was remembered within a day before `now` (seconds, of any clock that `add` was given, too)."""
        since = self._since.get(peer)
        if since is not None and not 0 <= now - since < REMEMBERED:
            del self._since[peer]
            return False
        return since is not None
