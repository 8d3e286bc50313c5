"""A sample report, made by what makes the real ones."""

from __future__ import annotations

import time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import attrs

from seg.cli.output import say
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles
from seg.config.load import load_destinations, load_settings
from seg.config.problems import offered
from seg.dsn.composer import ReportComposer
from seg.dsn.languages import FOLDER, Languages
from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed, Delivered, DSNAction, Outcome

CONTENT = b"From: <alice@sender.example>\r\nSubject: quarterly figures\r\n\r\nThe figures.\r\n"
REASON = "mx.receiver.example does not satisfy the TLS policy (mta-sts) of receiver.example: certificate has expired"
OUTCOMES: dict[DSNAction, Outcome] = {
    DSNAction.FAILED: Bounced(
        Permanent("5.1.1", "no such user", 550, ("5.1.1 no such user",)), 1, "mx.receiver.example"
    ),
    DSNAction.DELAYED: Delayed(
        Temporary("4.7.5", REASON, cause=CauseKind.CERTIFICATE_EXPIRED), 1, host="mx.receiver.example"
    ),
    DSNAction.RELAYED: Delivered(1, "2.0.0 queued as 4XyZ"),
}


def sample(files: ConfigurationFiles, profile: str | None, languages: tuple[str, ...], kind: str) -> EmailMessage:
    """A report of this kind on one recipient.

    :raises ConfigurationError: the files have faults, or there is no such profile.
    """
    settings, destinations = load_settings(files.settings), load_destinations(files.destinations)
    if profile is not None and profile not in destinations.bounce_profiles:
        raise ConfigurationError(
            (f"there is no bounce profile {profile}{offered(profile, destinations.bounce_profiles)}",)
        )
    queue = attrs.evolve(settings.queue, **destinations.bounce_profiles[profile]) if profile else settings.queue
    if languages:
        queue = attrs.evolve(queue, report_languages=languages)
    hostname = settings.gateway.hostname or "gateway.example"
    composer = ReportComposer(
        hostname,
        settings.gateway.postmaster or f"postmaster@{hostname}",
        time.time,
        Languages(files.settings.parent / FOLDER, lambda text: say(f"Warning: {text}", err=True)),
        lambda domain, listener: queue,
    )
    action, now = DSNAction(kind), time.time()
    envelope = Envelope(1, "alice@sender.example", (Recipient(0, "bob@receiver.example"),), now - 20000, len(CONTENT))
    made = composer.compose(action, envelope, [(0, OUTCOMES[action])], CONTENT, 2, now + 200000)
    assert made is not None  # there is a sender
    return message_from_bytes(made[1], policy=default)
