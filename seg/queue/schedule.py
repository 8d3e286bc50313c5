"""When a recipient is tried again, and when it has been tried enough; pure."""

from __future__ import annotations

import operator
from collections.abc import Callable

import attrs

from seg.config.schema import QueueSettings
from seg.mail.envelope import DSNNotify, Envelope, Recipient

SELDOM = 4 * 3600.0  # seconds at least between tries of which each may bring the recipient a copy


@attrs.frozen
class Schedule:
    """The operator's retry schedule.

    :ivar random: a number from 0 up to 1, so that retries of one burst spread.
    """

    settings: QueueSettings
    random: Callable[[], float]

    def wait(self, attempts: int) -> float:
        """Seconds to the next try after so many: `first_retry`, doubled each time up to `max_retry`.

        The random share only ever shortens a wait: `max_retry` is the longest there is.
        """
        return self.longest(attempts) * (1.0 - self.settings.jitter * self.random())

    def longest(self, attempts: int) -> float:
        """The same without the random share: no wait after so many tries is longer."""
        doublings = min(attempts - 1, 64)  # 2**64 seconds is past any `max_retry`
        return min(self.settings.first_retry * 2.0**doublings, self.settings.max_retry)

    def expiry(self, arrived: float) -> float:
        """POSIX seconds at which a message is returned, tried or not."""
        return arrived + self.settings.lifetime

    def next_due(self, attempts: int, arrived: float, now: float, seldom: bool = False) -> float | None:
        """POSIX seconds of what comes after `attempts` failed ones, or None: return the message at once.

        A try that would lie past the message's lifetime isn't made: the time given is then the end of the
        lifetime, at which the message is returned.

        :param seldom: each further try may bring the recipient a copy.
        """
        if attempts > self.settings.max_retries or now >= self.expiry(arrived):
            return None
        wait = max(self.wait(attempts), SELDOM) if seldom else self.wait(attempts)
        return min(now + wait, self.expiry(arrived))


@attrs.frozen
class Schedules:
    """The schedule of each destination.

    :ivar general: the operator's own, for all that say nothing else.
    :ivar settings_of: the settings for a domain and the bounce profile of a listener; None: all have the general ones.
    """

    general: Schedule
    settings_of: Callable[[str, str], QueueSettings] | None = None

    def of(self, domain: str, profile: str = "") -> Schedule:
        """The schedule of a domain, for mail that a listener with this bounce profile took."""
        if self.settings_of is None:
            return self.general
        settings = self.settings_of(domain, profile)
        return self.general if settings is self.general.settings else attrs.evolve(self.general, settings=settings)

    def warning(self, envelope: Envelope) -> float:
        """POSIX seconds from which the sender is to be told of recipients that wait and of whom he wasn't; never: infinity."""
        times = [
            envelope.arrived + after
            for r in envelope.pending
            if envelope.reverse_path and not r.warned and r.wants(DSNNotify.DELAY)
            if (after := self.of(r.domain, envelope.bounce_profile).settings.delay_warning) > 0
        ]
        return min(times, default=float("inf"))

    def expiry(self, envelope: Envelope) -> float:
        """POSIX seconds at which the last of a message's recipients that wait is returned, tried or not."""
        if self.settings_of is None:
            return self.general.expiry(envelope.arrived)
        domains = {recipient.domain for recipient in envelope.pending}
        return max(
            (self.of(domain, envelope.bounce_profile).expiry(envelope.arrived) for domain in domains),
            default=envelope.arrived,
        )


@attrs.frozen
class Moment:
    """When messages are taken up that couldn't be tried for a while. One object for many of them, as each number of its own takes room."""

    now: float
    grace: float  # until when each may be tried at least


def shifted(envelope: Envelope, seconds: float) -> Envelope:
    """An envelope with all its times so many seconds later; 0.0 for a time is "at once" and stays."""
    if not seconds:
        return envelope
    recipients = tuple(_later(recipient, seconds) for recipient in envelope.recipients)
    return attrs.evolve(envelope, arrived=envelope.arrived + seconds, recipients=recipients)


def _later(recipient: Recipient, seconds: float) -> Recipient:
    policy = recipient.policy
    if policy is not None:
        policy = attrs.evolve(policy, since=policy.since + seconds)
    return attrs.evolve(recipient, due=recipient.due + seconds if recipient.due else 0.0, policy=policy)


def clamped(envelope: Envelope, schedules: Schedules, now: float) -> Envelope:
    """An envelope from a file with times that can be: one written while the system's clock was ahead has arrived now, and waits no
    longer than the schedule lets any message wait after so many tries."""

    def sane(recipient: Recipient) -> Recipient:
        schedule = schedules.of(recipient.domain, envelope.bounce_profile)
        if recipient.due <= now + schedule.longest(recipient.attempts):
            return recipient
        return attrs.evolve(recipient, due=now + schedule.wait(recipient.attempts))

    recipients = tuple(sane(recipient) for recipient in envelope.recipients)
    if envelope.arrived <= now and all(map(operator.is_, recipients, envelope.recipients)):
        return envelope
    return attrs.evolve(envelope, arrived=min(envelope.arrived, now), recipients=recipients)
