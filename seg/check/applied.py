"""Why deliveries to a domain wouldn't go by a policy that is being looked at all the same. Pure."""

from __future__ import annotations

from collections.abc import Collection

from seg.config.destinations import DANEMode, Destinations, STSMode

_NAMES = {"mta-sts": "MTA-STS", "dane": "DANE"}


def not_applied(policy: str, destinations: Destinations, domain: str, providers: Collection[str]) -> tuple[str, ...]:
    """What switches a policy off for a domain, a sentence each; nothing when deliveries go by it.

    :param policy: ``mta-sts`` or ``dane``.
    :param destinations: those in force.
    :param providers: the names of the providers that deliveries ask (``[delivery] providers``).
    """
    name, profile, route = _NAMES[policy], destinations.profile(domain), destinations.route(domain)
    found = []
    if route is not None:
        what = "discards its mail" if route.discard else "decides the next hop"
        found.append(f'the SMTP route "{route.pattern}" {what}, so {name} isn\'t applied to mail for {domain}')
    if policy not in providers:
        found.append(f'{name} is not among the providers ([delivery] providers lacks "{policy}")')
    if policy == "mta-sts" and profile.mta_sts is STSMode.OFF:
        found.append(f'the profile "{profile.name}" says mta_sts = "off"')
    if policy == "dane" and profile.dane is DANEMode.NONE:
        found.append(f'the profile "{profile.name}" says dane = "none"')
    if profile.exemption is not None:
        found.append(f"{domain} is {profile.exemption}: {name} isn't enforced")
    return tuple(found)
