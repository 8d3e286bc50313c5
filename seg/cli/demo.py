"""``seg demo``: the gateway at work in a small internet of its own, explained."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs
import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorCore, IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from seg.cli.demo_show import Show, as_json
from seg.config.problems import offered
from seg.lab.cases import CASES, Case, chosen
from seg.lab.demo import Demonstration
from seg.lab.findings import CaseResult
from seg.lab.gateway import LabGatewayError
from seg.lab.internet import NoLoopbackError

INTERRUPTED = 130  # exit status of a program that was ended by Ctrl-C


@attrs.frozen
class DemoOptions:
    """What the command line asks for."""

    cases: tuple[Case, ...] = CASES
    keep: bool = False  # leave all of it running until Ctrl-C
    keep_files: bool = False
    json: bool = False
    color: bool | None = None  # None: on a terminal, unless NO_COLOR is set


def _cases(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[Case, ...]:
    try:
        return chosen(names)
    except KeyError as unknown:
        name = str(unknown.args[0])
        raise click.BadParameter(f"there is no case {name!r}{offered(name, (case.name for case in CASES))}") from None


@click.command()
@click.option("--case", "cases", multiple=True, metavar="NAME", callback=_cases, help="Only this case (repeatable).")
@click.option("--list", "only_list", is_flag=True, help="List the cases, and run none.")
@click.option("--keep", is_flag=True, help="Leave all of it running, to send mail by hand; Ctrl-C ends it.")
@click.option("--keep-files", is_flag=True, help="Don't remove configuration, log and certificates.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON, and nothing else.")
@click.option("--no-color", is_flag=True, help="No colours, on a terminal either.")
def demo(cases: tuple[Case, ...], only_list: bool, keep: bool, keep_files: bool, as_json: bool, no_color: bool) -> None:
    """See the gateway at work in a small internet on this machine.

    Name server, policy web server, mail servers and the gateway itself are real; they talk over loopback and
    unprivileged ports. Each case is one domain with one thing special. Nothing leaves this machine.

    Exit status: 0 all came out as expected; 1 some case didn't, or something failed.
    """
    if only_list:
        for case in cases:
            click.echo(f"{case.name:15} {case.what}")
        return
    sys.exit(run(DemoOptions(cases, keep, keep_files, as_json, False if no_color else None)))


def run(options: DemoOptions) -> int:
    """Run the demonstration in a reactor of its own (once in a process); return the exit status."""
    from twisted.internet import reactor

    return _Run(IReactorCore(reactor), options).to_the_end()


class _Run:
    """One run from start to clean end, whatever ends it."""

    def __init__(self, reactor: IReactorCore, options: DemoOptions) -> None:
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self._options = options
        self._show = Show(color=options.color, silent=options.json)
        self._status = INTERRUPTED
        self._over: Deferred[None] = Deferred()
        self._work: Deferred[None] | None = None

    def to_the_end(self) -> int:
        """Run the reactor until the work is done or interrupted, and everything is closed."""
        self._reactor.callWhenRunning(self._begin)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._reactor.run()
        return self._status

    def _begin(self) -> None:
        self._work = Deferred.fromCoroutine(self._demonstrate())
        self._work.addBoth(self._ended)

    def _stop(self) -> Deferred[None]:
        """The reactor stops (Ctrl-C, or the work is done): wait until everything is closed."""
        if self._work is not None and not self._over.called:
            self._work.cancel()
        return self._over

    def _ended(self, result: object) -> None:
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._status = 1
            if result.check(LabGatewayError, NoLoopbackError, OSError):
                self._show.error(str(result.value))
            else:
                self._show.error(result.getTraceback())
        stopping = self._over.called
        self._over.callback(None)
        if not stopping and self._reactor.running:
            self._clock.callLater(0, self._stop_reactor)

    def _stop_reactor(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    async def _demonstrate(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="seg-demo-"))
        demonstration = Demonstration(self._reactor, folder, self._options.cases, self._show)
        try:
            self._show.welcome(len(self._options.cases))
            internet, gateway = await demonstration.set_up()
            self._show.ready(internet, gateway)
            findings = await demonstration.run()
            self._status = 0 if all(finding.ok for finding in findings) else 1
            self._tell(findings)
            if self._options.keep:
                self._show.kept(internet, gateway)
                await self._stay(demonstration)
        finally:
            await demonstration.stop()
            self._clear(folder)

    def _tell(self, findings: Sequence[CaseResult]) -> None:
        if self._options.json:
            click.echo(as_json(findings))
        else:
            self._show.table(findings)

    async def _stay(self, demonstration: Demonstration) -> None:
        """Show what happens until Ctrl-C."""
        while True:
            demonstration.follow()
            await deferLater(self._clock, 0.1)

    def _clear(self, folder: Path) -> None:
        if self._options.keep_files:
            self._show.files(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
