"""How we show ourselves to a destination: addresses to send from, the name in EHLO, and who we are where AUTH is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from seg.common.files import read_regular
from seg.config.destinations import AuthProfile, Destinations, LimitPer, Profile
from seg.mail.errors import Temporary
from seg.smtp.client_auth import ClientMechanism, choose_mechanism

LONGEST_PASSWORD = 4096  # characters
LARGEST_PASSWORD_FILE = 65536  # octets; only its first line counts


@attrs.frozen
class OutboundSettings:
    """What a destination's profile says, and the profiles for AUTH."""

    source: str = ""  # "" = that of [delivery]
    source6: str = ""
    ehlo_name: str = ""  # "" = the gateway's
    logins: Mapping[str, AuthProfile] = attrs.field(factory=dict)
    connections: int = 0  # most at a time; 0 = no limit
    per_address: bool = False  # the limit is one address's, not the domain's
    certificate: tuple[str, str] = ("", "")  # files of certificate and key that we show; "" = none
    by_mx: bool = False  # the hosts were named by the domain's MX records, not by the operator


def outgoing_of(profile: Profile, destinations: Destinations) -> OutboundSettings:
    """What holds for a destination with this profile."""
    return OutboundSettings(
        profile.source_address,
        profile.source_address6,
        profile.ehlo_name,
        destinations.auth_profiles,
        profile.concurrent_connections,
        profile.limit_per is LimitPer.ADDRESS,
        (profile.certificate, profile.key),
    )


def mechanism_for(login: AuthProfile, offered: str) -> ClientMechanism:
    """How to authenticate to a server that offers these mechanisms. Reads the password's file, which is small and local.

    :raises Temporary: there is no mechanism that both can do, or no password.
    """
    try:
        password = login.password or _password_in(login.password_file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Temporary("4.7.0", f"password of AUTH profile {login.name} can't be read: {reason}") from None
    found = choose_mechanism(offered, login.mechanisms, login.username, password)
    if found is None:
        wanted = ", ".join(login.mechanisms) or "SCRAM-SHA-256, PLAIN, LOGIN"
        text = f"the server offers no AUTH mechanism of {wanted} (it offers {offered or 'none'})"
        raise Temporary("4.7.0", f"AUTH profile {login.name}: {text}")
    return found


def _password_in(path: str) -> str:
    text = read_regular(Path(path), LARGEST_PASSWORD_FILE).decode("utf-8")
    password = text.partition("\n")[0].rstrip("\r")[:LONGEST_PASSWORD]
    if not password:
        raise ValueError("its first line is empty")
    return password
