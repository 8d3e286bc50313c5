"""A check in this process, for when the gateway isn't running: the same wiring, the same configuration, nothing written to its folders."""

from __future__ import annotations

import tempfile
from typing import Any

import attrs
import click
from twisted.internet import task
from twisted.internet.defer import Deferred
from zope.interface import implementer

from seg.admin.wire.checks import RunCheck
from seg.check.assembly import build_checks
from seg.check.checks import CheckError
from seg.cli.output import say
from seg.common.errors import ConfigurationError
from seg.common.json_schema import plain
from seg.common.machine import machine_name
from seg.config.find import ConfigurationFiles
from seg.config.load import load_destinations, load_settings
from seg.events.base import Event, IEventSink
from seg.events.gateway import Fault
from seg.events.runtime import Runtime
from seg.policy.assembly import build_lookups
from seg.tls.identities import ClientIdentities
from seg.tls.parameters import outbound
from seg.tls.roots import load_roots


@implementer(IEventSink)
class _Complaints:
    """Faults go to the terminal; there is no log."""

    debug = False

    def emit(self, event: Event) -> None:
        """Show it, if something is wrong."""
        if isinstance(event, Fault):
            say(f"Warning: {event.text}", err=True)


def ask_here(files: ConfigurationFiles, body: dict[str, Any]) -> dict[str, Any]:
    """The document that answers a question."""
    answers: list[dict[str, Any]] = []
    problems: list[str] = []

    async def run(reactor: Any) -> None:
        try:
            answers.append(await _ask(files, body, reactor))
        except CheckError as error:
            problems.append(str(error))
        except ConfigurationError as error:
            problems.extend(error.problems)

    try:
        task.react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
    except SystemExit as end:
        if end.code:
            raise
    if not answers and not problems:  # the reactor was stopped: Ctrl-C
        raise KeyboardInterrupt
    if problems:
        raise click.UsageError("\n".join(problems))
    return answers[0]


async def _ask(files: ConfigurationFiles, body: dict[str, Any], reactor: Any) -> dict[str, Any]:
    question = RunCheck.from_body(body).question
    settings, destinations = load_settings(files.settings), load_destinations(files.destinations)
    roots = load_roots(settings.tls.ca_file, settings.tls.extra_ca_file)
    runtime = Runtime(reactor, _Complaints(), settings.gateway.hostname or machine_name())
    with tempfile.TemporaryDirectory(prefix="seg-check-") as folder:
        # Policies fetched here go there, and not into the gateway's own cache.
        apart = attrs.evolve(settings, gateway=attrs.evolve(settings.gateway, var=folder))
        lookups = build_lookups(runtime, apart, roots)
        await lookups.probe.start()
        try:
            identities = ClientIdentities()
            identities.replace(identities.prepared(destinations.certificates(), outbound(settings.tls)))
            checks = build_checks(runtime, apart, lambda: destinations, lookups, identities)
            return plain(await checks.ask(question))
        finally:
            lookups.probe.stop()
            await lookups.policies.cache.flushed()
