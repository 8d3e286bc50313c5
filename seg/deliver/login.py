"""AUTH towards a next hop that wants it (RFC 4954)."""

from __future__ import annotations

from seg.config.destinations import AuthProfile
from seg.deliver.connection_errors import AuthenticationError
from seg.deliver.outbound import mechanism_for
from seg.deliver.smtp_client import SMTPClientProtocol
from seg.mail.errors import Temporary
from seg.policy.judge import NOBODY, Verdict


async def authenticate(sender: SMTPClientProtocol, login: AuthProfile | None, verdict: Verdict) -> None:
    """Show who we are. What goes wrong is the operator's business, and never the sender's: the mail waits.

    :raises AuthenticationError: it isn't possible, or refused.
    """
    if login is None:
        raise AuthenticationError("4.7.0", "the AUTH profile of the route isn't there any more")
    if not sender.facts.tls:
        raise AuthenticationError("4.7.0", f"AUTH profile {login.name}: no password is sent without TLS")
    if verdict.by == NOBODY and not login.unverified:
        text = "nothing verified the server's certificate; set the destination's tls to required-verify-hosted, or unverified = true"
        raise AuthenticationError("4.7.0", f"AUTH profile {login.name}: {text}")
    try:
        mechanism = mechanism_for(login, sender.capabilities.raw.get("AUTH", ""))
    except Temporary as error:
        raise AuthenticationError(error.enhanced, error.text) from error
    try:
        await sender.authenticate(mechanism)
    except Temporary as error:
        said = " ".join(error.remote) or error.text
        raise AuthenticationError(
            error.enhanced, f"AUTH profile {login.name} ({mechanism.name}) is refused: {said}"
        ) from error
