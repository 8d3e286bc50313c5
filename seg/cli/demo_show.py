"""How the demonstration is shown: the live log with explanations, the table, and how to go on by hand."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path

import attrs
from rich.console import Console
from rich.text import Text

from seg.cli.demo_glossary import explanation_of
from seg.cli.demo_table import print_findings, print_indented, style_of
from seg.cli.tables import plain
from seg.common.endpoint import endpoint
from seg.lab.arrivals import ReceivedMessage
from seg.lab.cases import SENDER, Case, Protection
from seg.lab.findings import CaseResult
from seg.lab.gateway import GatewayProcess
from seg.lab.internet import Internet
from seg.maillog.log_table import Level

PIPED_WIDTH = 120  # columns where the output isn't a terminal

_HEAD = re.compile(
    r"^\w{3} \w{3} [ \d]\d (?P<time>\d\d:\d\d:\d\d) \d{4} (?P<level>\w+): "
)  # of a line: docs/log-lines.md
# Lines that are much the same for every message are shown for the first only.
_ROUTINE = re.compile(r": (?:New SMTP ICID|ICID |Start MID|MID \d+ ICID|MID \d+ ready|MID \d+ queued|DCID \d+ close)")


@attrs.define
class Show:
    """Writes to standard output; errors to standard error."""

    color: bool | None = None  # None: as the terminal and NO_COLOR say
    silent: bool = False  # only errors
    _explained: set[str] = attrs.field(factory=set, init=False)
    _first: bool = attrs.field(default=True, init=False)
    _waited_for: str = attrs.field(default="", init=False)
    _kept: bool = attrs.field(default=False, init=False)
    _console: Console = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Open the console."""
        width = None if sys.stdout.isatty() else PIPED_WIDTH
        no_color = True if self.color is False else None
        self._console = Console(
            width=width, no_color=no_color, highlight=False, markup=False, emoji=False, quiet=self.silent
        )

    # --- before ---

    def welcome(self, total: int) -> None:
        """What this is."""
        self._paragraph(
            "Mail between organisations is often sent over connections that anybody on the way can "
            "read or redirect. "
            "A domain can publish what a sender has to insist on: by MTA-STS (a policy on a web "
            "server) or by DANE "
            "(fingerprints in signed DNS). This gateway looks that up for each message, and sends "
            "nothing that the "
            "policy forbids."
        )
        self._paragraph(
            f"You see it at work on {_domains(total)}. Name server, web "
            f"server and mail "
            "servers run on this machine and are real; so is the gateway. Nothing leaves this machine."
        )

    def ready(self, internet: Internet, gateway: GatewayProcess) -> None:
        """Everything runs."""
        where = f"{gateway.address} port {gateway.port}"
        hosts = f"{len(internet.receivers)} mail servers (port {internet.port})"
        self._paragraph(
            f"The gateway listens at {where}. {hosts}, a policy web server (port "
            f"{internet.https_port}) and a name "
            f"server (port {internet.nameserver.port}) run. Below is the gateway's own mail log, as it "
            f"is written."
        )

    # --- while it runs ---

    def begins(self, case: Case, number: int, total: int) -> None:
        """A message for a case is handed in now."""
        self._print()
        self._print(Text.assemble((f"[{number}/{total}] {case.domain}", "bold"), (f"  {case.what}", "")))

    def line(self, text: str) -> None:
        """A line of the mail log, with an explanation when its like comes for the first time."""
        if not self._kept and (self._waited_for not in text or (_ROUTINE.search(text) and not self._first)):
            return
        text = plain(text)
        head = _HEAD.match(text)
        if head:
            text = f"{head['time']} {text[head.start('level') :]}"
        self._indented(text, 2, "yellow" if head and head["level"] == Level.WARNING else "dim")
        found = explanation_of(text)
        if found is not None and found not in self._explained:
            self._explained.add(found)
            self._indented(f"^ {found}", 11, "cyan italic")

    def waits(self, case: Case, mid: int) -> None:
        """A case needs the second try, which is waited for now; only its own lines are shown."""
        self._waited_for = f" MID {mid} "
        self._print()
        self._print(Text(f"{case.domain}: the second try comes in a few seconds ...", "bold"))

    def settled(self, finding: CaseResult) -> None:
        """What came of a case, and whether it's as expected."""
        self._first = False
        words = [str(finding.outcome), str(finding.protection)]
        if finding.protection is Protection.NOT_SENT:
            words[1] = "nothing was sent"
        elif finding.protection is Protection.ENCRYPTED:
            words.append(f"server verified by {finding.verified_by or 'nobody'}")
        self._print(Text(f"  => {', '.join(words)}", f"bold {style_of(finding.outcome)}"))
        self._differences(finding)

    def report(self, message: ReceivedMessage) -> None:
        """A report of non-delivery, as its reader sees it."""
        parsed = message_from_bytes(message.content, policy=modern)
        body = parsed.get_body(("plain",))
        text = body.get_content() if body is not None else ""
        self._print(Text(f"  This report reached {plain(message.recipients[0])}:", "bold"))
        for line in (f"Subject: {parsed['subject']}", "", *str(text).strip().splitlines()):
            self._indented(f"| {plain(line)}".rstrip(), 4)

    def message(self, message: ReceivedMessage) -> None:
        """A message that came while everything is kept running."""
        how = message.tls or "in clear text"
        to = ", ".join(message.recipients)
        self._print(Text(f"  => {message.host} took a message for {plain(to)}, {how}", "bold green"))

    # --- afterwards ---

    def table(self, findings: Sequence[CaseResult]) -> None:
        """All results, and the conclusion."""
        self._print()
        print_findings(self._console, findings)
        self._print()
        self._paragraph(
            "TLS is what the receiving server saw. 'Verified by' names the rule that its certificate "
            "satisfied; "
            "'profile' is the operator's own setting. Deferred messages wait in the queue, and are "
            "tried again."
        )
        wrong = [finding for finding in findings if not finding.ok]
        if not wrong:
            self._print(Text(f"All {len(findings)} came out as they have to.", "bold green"))
        for finding in wrong:
            self._print(Text(f"{finding.case.domain} is not as expected:", "bold red"))
            self._differences(finding)

    def kept(self, internet: Internet, gateway: GatewayProcess) -> None:
        """How to go on by hand."""
        self._kept = True
        to = next(iter(domain for domain in internet.domains if domain != "sender.example"), "sender.example")
        python = (
            f"import smtplib; smtplib.SMTP('{gateway.address}', {gateway.port}).sendmail("
            f"'{SENDER}', ['bob@{to}'], 'Subject: hello\\n\\nhello')"
        )
        seg = f"seg --config {gateway.configuration}"
        lines = [
            "Everything goes on running until Ctrl-C. Send to any address at these domains:",
            "",
            *(f"  bob@{name}" for name in internet.domains),
            "",
            "with swaks:",
            f"  swaks --server {endpoint(gateway.address, gateway.port)} --from {SENDER} --to bob@{to}",
            "or with Python:",
            f'  python3 -c "{python}"',
            "",
            "See what the gateway does:",
            f"  {seg} status",
            f"  {seg} queue list",
            f"  {seg} tail -f",
            "",
            f"Its configuration is {gateway.configuration} (and destinations.toml next to it).",
        ]
        self._print()
        for line in lines:
            # Commands stay on one line, so that they can be copied.
            self._console.print(Text(line), soft_wrap=True)

    def files(self, folder: Path) -> None:
        """Where the files are that were kept."""
        self._print(Text(f"Configuration, log and certificates are in {folder}"))

    def error(self, text: str) -> None:
        """What went wrong, on standard error."""
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        console.print(Text(f"seg demo: {text}"), soft_wrap=True)

    # --- parts ---

    def _differences(self, finding: CaseResult) -> None:
        for difference in finding.differences:
            self._indented(f"! {plain(difference)}", 5, "bold red")

    def _indented(self, text: str, columns: int, style: str = "") -> None:
        print_indented(self._console, text, columns, style)

    def _paragraph(self, text: str) -> None:
        self._print(Text(text))
        self._print()

    def _print(self, what: object = "") -> None:
        self._console.print(what)


def _domains(total: int) -> str:
    return f"{total} domains, each with one thing special" if total != 1 else "one domain with one thing special"


def as_json(findings: Sequence[CaseResult]) -> str:
    """The results for a program."""
    rows = [
        {
            "case": finding.case.name,
            "domain": finding.case.domain,
            "what": finding.case.what,
            "mid": finding.mid,
            "policy": finding.policy,
            "mx": finding.mx,
            "tls": finding.tls,
            "protection": finding.protection,
            "verified_by": finding.verified_by,
            "outcome": finding.outcome,
            "expected": finding.case.outcome,
            "why": finding.why,
            "ok": finding.ok,
            "differences": finding.differences,
        }
        for finding in findings
    ]
    return json.dumps({"ok": all(finding.ok for finding in findings), "cases": rows}, indent=2)
