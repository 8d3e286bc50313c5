"""The gateway against a lab of real servers: signed zones, a validating resolver, policy hosts, a proxy, MX hosts.

A lab is a folder with ``lab.py``, whose commands are ``up``, ``config`` (what the gateway must be told, as neutral JSON), ``inject``,
``scenario``, ``check`` and ``down``; with ``cases.json``; and with ``adapter.py``, which tells from a mail log which lines belong to which
case. `gateway_configuration` turns the JSON into our files, `LabCommand` runs the commands, `results` says what became of each recipient.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from seg.config.destinations import DANEMode, STSMode, TLSOption
from seg.config.load import parse_destinations, parse_settings
from seg.lab.configuration import GatewayFiles, gateway_files
from seg.lab.maillog import LoggedEvent

Results = dict[str, dict[str, Any]]

_FATES = {"recipients_delivered": "delivered", "recipient_delayed": "deferred", "recipient_bounced": "bounced"}


class LabError(Exception):
    """The lab, or what it says, can't be used."""


@attrs.frozen
class Verdict:
    """What the lab's check says."""

    counts: Mapping[str, int]
    report: str  # the lab's own words, a line for each case that isn't as expected, then the counts

    @property
    def passed(self) -> bool:
        """Whether nothing is left that could still come right, or is wrong."""
        return not any(self.counts.get(word) for word in ("fail", "unproven"))


@attrs.frozen
class LabCommand:
    """``lab.py`` of one lab, with a folder of its own for what runs."""

    lab: Path
    state: Path

    def run(self, *arguments: str, within: float = 120.0) -> str:
        """Run one command and return what it prints.

        :raises LabError: it failed.
        """
        done = self._run(arguments, within)
        if done.returncode:
            raise LabError(f"lab.py {' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def run_aside(self, *arguments: str, within: float = 120.0) -> Deferred[str]:
        """`run` in a thread."""
        return deferToThread(self.run, *arguments, within=within)

    def check(self, run: str, results: Results, cases: tuple[str, ...]) -> Verdict:
        """Have the lab judge what arrived, what we say of it, and what the log says."""
        file = self.state / "results.json"
        file.write_text(json.dumps(results))
        chosen = [word for case in cases for word in ("--case", case)]
        done = self._run(("check", "--run", run, "--results", str(file), *chosen), 120.0)
        lines = done.stdout.strip().splitlines()
        try:
            # The last line is the counts, as Python writes a dict: {'pass': 237, ...}
            counts = json.loads(lines[-1].replace("'", '"'))
        except (IndexError, ValueError):
            raise LabError(f"lab.py check: no counts\n{done.stdout}{done.stderr}") from None
        return Verdict(counts, "\n".join(lines))

    def results(self, lines: Iterable[str], events: Iterable[LoggedEvent]) -> Results:
        """What the lab's check wants to know of each case: the lines of the log that belong to it (sorted out by the lab itself), and
        what became of each recipient in the end (by our own events: a line that a delivery was put off says nothing of how it ended).
        """
        cases = json.loads((self.lab / "cases.json").read_text())["cases"]
        found: Results = self._adapter().results("\n".join(lines), cases)
        fates = fates_of(events)
        for case in cases:
            known = {rcpt: fates[rcpt.lower()] for rcpt in case["rcpts"] if rcpt.lower() in fates}
            if known:
                found[case["id"]]["rcpts"] = known
        return found

    def domains(self, group: str, cases: tuple[str, ...]) -> list[str]:
        """The domains of a group of cases, or of those among the chosen ones."""
        found = json.loads((self.lab / "cases.json").read_text())["cases"]
        return [case["domain"] for case in found if case["group"] == group and (not cases or case["id"] in cases)]

    def _adapter(self) -> Any:
        where = self.lab / "adapter.py"
        spec = importlib.util.spec_from_file_location("lab_adapter", where)
        if spec is None or spec.loader is None:
            raise LabError(f"{where} can't be loaded")
        adapter = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(adapter)
        return adapter

    def _run(self, arguments: tuple[str, ...], within: float) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "lab.py", *arguments, "--dir", str(self.state)]
        try:
            return subprocess.run(command, cwd=self.lab, capture_output=True, text=True, timeout=within, check=False)
        except subprocess.TimeoutExpired:
            raise LabError(f"lab.py {' '.join(arguments)}: not done within {within:g} s") from None


def fates_of(events: Iterable[LoggedEvent]) -> dict[str, str]:
    """Recipient (lower case) -> delivered, bounced, or deferred as long as nothing better is known. Our own reports don't count."""
    addresses: dict[tuple[int, int], str] = {}
    fates: dict[str, str] = {}
    for event in events:
        if event.name == "recipient_accepted":
            addresses[event["mid"], event["rid"]] = event["address"].lower()
        elif event.name in _FATES:
            rids = event["rids"] if event.name == "recipients_delivered" else [event["rid"]]
            known = [addresses[event["mid"], rid] for rid in rids if (event["mid"], rid) in addresses]
            fates.update(dict.fromkeys(known, _FATES[event.name]))
    return fates


def gateway_configuration(told: Mapping[str, Any], port: int) -> GatewayFiles:
    """Our files from what ``lab.py config`` says.

    :raises LabError: it asks for something that we have no word for.
    :raises ConfigurationError: what came of it isn't valid.
    """
    environment = told["environment"]
    profiles: dict[str, dict[str, object]] = {}
    routes: dict[str, list[object]] = {}
    for control in told["destination_controls"]:
        domain, profile, route = _control(dict(control))
        if profiles.setdefault(domain, profile) != profile or routes.setdefault(domain, route) != route:
            raise LabError(f"{domain}: two profiles that differ")
    default = {"tls": TLSOption.PREFERRED.label, "dane": DANEMode.NONE.value, "mta_sts": STSMode.OFF.value}
    chosen_routes = {domain: route for domain, route in routes.items() if route}
    files = gateway_files(port, {}, _settings(environment), default, profiles, chosen_routes)
    parse_settings(files.seg_toml)
    parse_destinations(files.destinations_toml)
    return files


def _control(control: dict[str, Any]) -> tuple[str, dict[str, object], list[object]]:
    domain, route = control.pop("domain"), control.pop("smtp_route", None)
    profile = {
        "tls": TLSOption(control.pop("tls")).label,
        "dane": DANEMode(control.pop("dane")).value,
        "mta_sts": STSMode(control.pop("mta_sts")).value,
    }
    if control:
        raise LabError(f"{domain}: unknown settings {', '.join(control)}")
    hosts = [route] if isinstance(route, str) else list(route or ())
    return domain, profile, hosts


def _settings(environment: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    wait, retry = float(environment["smtp_timeout_s"]), float(environment["retry_interval_s"])
    return {
        "tls": {"ca_file": environment["ca_file"]},
        # The resolver gives up on a server that keeps silent long after we do; its answers live for a second.
        "dns": {"resolvers": [environment["resolver"]], "timeout": 5.0, "lifetime": 10.0},
        "mta_sts": {
            "proxy": environment.get("policy_proxy") or "",
            "fetch_timeout": float(environment["policy_fetch_timeout_s"]),
            "retry_interval": 300.0,
        },
        "queue": {"first_retry": retry, "max_retry": 60.0},
        "delivery": {
            **dict.fromkeys(("connect_timeout", "greeting_timeout", "command_timeout"), wait),
            **dict.fromkeys(("data_timeout", "tls_timeout"), wait),
        },
        "log": {"level": "debug"},
    }
