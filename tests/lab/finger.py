"""The same DANE hosts judged by Postfix's ``posttls-finger`` and by ``seg daneverify``: both have to say the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

PROGRAM = "posttls-finger"
_MATCHED = re.compile(r"posttls-finger: ([\w.-]+)\[[^]]*\]:\d+: Matched DANE ")
_ENCRYPTED = re.compile(
    r"posttls-finger: (Verified|Trusted|Untrusted|Anonymous) TLS connection established to ([\w.-]+)\["
)


@attrs.frozen
class Comparison:
    """Hosts that both looked at."""

    same: int
    different: tuple[str, ...]  # a line for each

    @property
    def text(self) -> str:
        """For people."""
        return "\n".join(
            (*self.different, f"posttls-finger: {self.same} hosts judged alike, {len(self.different)} otherwise")
        )


def available() -> bool:
    """Whether Postfix's program is here."""
    return shutil.which(PROGRAM) is not None


def finger_verdicts(output: str) -> dict[str, bool]:
    """Host -> whether it was verified by DANE, of each host that TLS was established with.

    "Trusted" is a match below an MX answer that isn't signed: no verification, for Postfix as for us.
    """
    matched = set(_MATCHED.findall(output))
    return {host: word == "Verified" and host in matched for word, host in _ENCRYPTED.findall(output)}


def our_verdicts(document: Mapping[str, Any]) -> dict[str, bool]:
    """The same from the document of ``seg daneverify --json``: a host that mandatory DANE refuses isn't verified."""
    found = {}
    for host in document["hosts"]:
        verdicts = [tried["verdict"] for tried in host["tried"] if tried["verdict"] is not None]
        matched = [verdict["ok"] and any(m["policy"] == "dane" for m in verdict["matched"]) for verdict in verdicts]
        found[host["name"]] = any(matched)
    return found


def compare(domains: Iterable[str], lab: Path, state: Path, seg: tuple[str, ...]) -> Comparison:
    """Ask both about each domain. Blocks.

    :param seg: the ``seg`` command with its configuration.
    """
    same, different = 0, []
    for domain in domains:
        finger = (PROGRAM, "-c", "-t", "20", "-T", "20", "-l", "dane", domain)
        said = _run((sys.executable, str(lab / "lab.py"), "--dir", str(state), "shell", "--", *finger))
        ours = our_verdicts(json.loads(_run((*seg, "daneverify", "--json", domain))))
        for host, verified in finger_verdicts(said).items():
            if ours.get(host) is verified:
                same += 1
            else:
                words = {True: "verified", False: "not verified", None: "not looked at"}
                different.append(f"{domain} {host}: {PROGRAM} {words[verified]}, seg {words[ours.get(host)]}")
    return Comparison(same, tuple(different))


def _run(command: tuple[str, ...]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    return done.stdout + ("" if "--json" in command else done.stderr)
