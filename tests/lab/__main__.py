"""Runs the gateway against a lab of real servers: ``python -m tests.lab --lab DIR`` (as root: the lab's servers use low ports).

Starts the lab and ``twistd seg`` on it, hands in a message for each case, runs the lab's scenarios, and ends with the lab's own verdict:
a line for each case that isn't as expected, then its counts. Exit status 0 when every case passes, 1 when one doesn't, 2 when it
couldn't be run.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from seg.common.errors import ConfigurationError
from seg.lab.gateway import GatewayProcess, LabGatewayError
from seg.lab.internet import free_port
from tests.lab.acceptance import LabCommand, LabError, Verdict, gateway_configuration
from tests.lab.finger import available, compare

RUN = "run"  # the mark of our messages in the lab
LOOK = 5.0  # seconds between two looks at how far it is
SETTLE = 15.0  # seconds for each step of a scenario, and for what shouldn't happen (a second copy) to happen
PATIENCE = 120.0  # seconds until what hasn't come about counts as failed


class Acceptance:
    """One run of the gateway in one lab."""

    def __init__(self, reactor: Any, lab: LabCommand, folder: Path, cases: tuple[str, ...]) -> None:
        self._reactor = reactor
        self._lab = lab
        self._folder = folder
        self._cases = cases

    async def run(self) -> Verdict:
        """Everything, from the lab's start to its end."""
        try:
            self._say((await self._lab.run_aside("up", within=300.0)).strip())
            told = json.loads(await self._lab.run_aside("config"))
            gateway = GatewayProcess(self._reactor, self._folder / "gateway", gateway_configuration(told, free_port()))
            await gateway.start()
            try:
                return await self._exercise(gateway)
            finally:
                await gateway.stop()
        finally:
            await self._lab.run_aside("down", within=60.0)

    async def _exercise(self, gateway: GatewayProcess) -> Verdict:
        to = ("--to", f"{gateway.address}:{gateway.port}", "--run", RUN)
        chosen = [word for case in self._cases for word in ("--case", case)]
        handed_in = json.loads(await self._lab.run_aside("inject", *to, *chosen, within=PATIENCE))
        self._say(f"{handed_in['accepted']} messages handed in")
        for case, reason in handed_in["refused"].items():
            self._say(f"not taken: {case}: {reason}")
        if not self._cases:
            self._say((await self._lab.run_aside("scenario", *to, "--settle", str(SETTLE), within=PATIENCE)).strip())
        verdict = await self._settled(gateway)
        if not verdict.passed:
            return verdict
        self._say("all as expected; waiting for copies that shouldn't come")
        waiting = task.deferLater(self._reactor, SETTLE)
        await self._compare(gateway)
        await waiting
        return await self._look(gateway)

    async def _compare(self, gateway: GatewayProcess) -> None:
        """The verdicts on DANE hosts beside those of Postfix, where it is at hand.

        :raises LabError: they differ.
        """
        if not available():
            self._say("posttls-finger isn't here: no comparison")
            return
        found = await deferToThread(
            compare, self._lab.domains("dane", self._cases), self._lab.lab, self._lab.state, gateway.command
        )
        self._say(found.text)
        if found.different:
            raise LabError("posttls-finger judges otherwise")

    async def _settled(self, gateway: GatewayProcess) -> Verdict:
        """The verdict as soon as everything has passed, or the last one."""
        end = time.monotonic() + PATIENCE
        before = None
        while True:
            verdict = await self._look(gateway)
            if verdict.counts != before:
                self._say(str(dict(verdict.counts)))
            before = verdict.counts
            if verdict.passed or time.monotonic() > end:
                return verdict
            await task.deferLater(self._reactor, LOOK)

    def _look(self, gateway: GatewayProcess) -> Deferred[Verdict]:
        results = self._lab.results(gateway.log_lines(), gateway.events())
        return deferToThread(self._lab.check, RUN, results, self._cases)

    def _say(self, text: str) -> None:
        click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


@click.command(help=__doc__)
@click.option("--lab", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="The lab.")
@click.option("--case", "cases", multiple=True, help="Only this case (may be given several times; no scenarios then).")
@click.option("--keep", is_flag=True, help="Keep the folder with the gateway's log and what the lab received.")
def main(lab: Path, cases: tuple[str, ...], keep: bool) -> None:
    """See the module."""
    if os.geteuid():
        raise click.UsageError("needs root: the lab's servers listen on ports 25, 53 and 443")
    if not (lab / "lab.py").is_file():
        raise click.UsageError(f"{lab} has no lab.py")
    folder = Path(tempfile.mkdtemp(prefix="seg-acceptance-"))
    folder.chmod(0o755)  # the lab's servers give up root and must still find their files
    acceptance: list[Verdict] = []

    async def run(reactor: Any) -> None:
        command = LabCommand(lab.absolute(), folder / "lab")
        acceptance.append(await Acceptance(reactor, command, folder, cases).run())

    try:
        task.react(lambda reactor: Deferred.fromCoroutine(_told(run(reactor))))
    except SystemExit as end:
        if end.code:
            sys.exit(2)
    finally:
        if keep:
            click.echo(f"kept: {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(acceptance[0].report)
    sys.exit(0 if acceptance[0].passed else 1)


async def _told(work: Any) -> None:
    try:
        await work
    except (LabError, LabGatewayError, ConfigurationError) as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
