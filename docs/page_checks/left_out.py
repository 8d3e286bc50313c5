"""Commands of the pages that `run` doesn't run, by pattern, with the reason; and what stands for the names that others have in them."""

from __future__ import annotations

import re

MACHINE = "wants root and a machine of its own: python -m tests.bare_root"
LEFT_OUT = {
    r"^(\S*/)?pip |^(\.venv/bin/)?python3? -m (venv|twisted\.trial|seg\.|tests\.)": "sets up what the checks run in, or is one of them",
    r"^(apt-get|systemctl|systemd-\w+|install|ln) |^seg check-install$": MACHINE,
    r"^(/opt/seg/|python3 packaging/|\(umask 077|echo .* \| sendmail )": MACHINE,
    r"^cd$|^cd /etc/seg$|^#!/bin/sh$|^set -e$|RENEWED_LINEAGE|^seg certconfig import mx\.example\.com fullchain": MACHINE,
    r"^docker ": "wants a builder of images: python -m tests.bare_root.images",
    r"^seg setup\b(?! --help)": "asks, or writes a configuration: python -m tests.bare_root, tests/e2e/test_48_setup",
    r"^seg demo( --keep.*)?$": "tests/lab",
    r"^twistd ": "starts a gateway, which runs until it is stopped",
    r"^seg( --\S+ \S+)* tail -f|^seg (rate|hostrate \S+|workqueue rate)$": "goes on until Ctrl-C",
    r"--server|gateway\.example\.com:9726|^export SEG_SERVER": "wants a gateway on another machine: tests/e2e/test_36_remote_operators",
    r"^seg (user add|token add|token delete|user passwd)": "asks for a password, or writes one: tests/e2e/test_29_admin_api",
    r" \.\.\.$|^seg queue corrupt list,": "shortened",
    r"^seg queue corrupt restore": "wants damaged files: tests/e2e/test_42_damaged_files",
    r"^seg commitdetail 2": "wants two commits: tests/e2e/test_20_change_control",
}
STANDS_FOR = {
    r"^\.venv/bin/": "",
    r"\b2525\b": "PORT",
    r"^(seg .*)\[HOST\[:PORT\]\]": r"\1",
    r"^(seg .*?)( \[[A-Z]+\](\.\.\.)?)+": r"\1",
    r"\bDOMAIN\b|<domain>": "signed.example",
    r"--domain D\b": "--domain spare.example",
    r"--sender A\b": "--sender alice@sender.example",
    r"--days N\b": "--days 3",
    r"--mx HOST\b": "--mx mx.signed.example",
    r"--cause NAME\b": "--cause certificate-name",
    r"--reason TEXT\b": "--reason maintenance",
    r"\bcertconfig import (NAME|mx\.example\.com) FILE KEY\b": "certconfig import one FOLDER/own.pem",
    r"\bcertconfig new NAME HOST\b": "certconfig new two gateway.lab.example",
    r"/etc/seg/(certificates/client|mail)\.pem": "FOLDER/own.pem",
    r"/etc/seg/provider\.password": "FOLDER/provider.password",
    r"(\bshow|\bwhy|--mid|\bMID) (MID|1|17|5444)\b": r"\1 1",
}
# What may end with another status than 0, and what shows something that depends on the moment.
STATUSES = {
    r"^seg explain broken\.example": (1,),
    r"^seg commit$": (0, 1),  # 1: there is nothing to commit
    r"^seg status --check": (0, 1),
}
OF_THE_MOMENT = r"^seg (status --check|topin|changes|debug|dnsflush|commit|commitdetail|held-by-policy)\b"


def reason(command: str) -> str:
    """Why a command isn't run; "" if it is."""
    command = re.sub(r"^\.venv/bin/(?=seg |twistd )", "", command)
    return next((why for pattern, why in LEFT_OUT.items() if re.search(pattern, command)), "")


def statuses(command: str) -> tuple[int, ...]:
    """The exit statuses that are right."""
    return next((right for pattern, right in STATUSES.items() if re.search(pattern, command)), (0,))


def made_real(command: str, folder: str, port: int) -> str:
    """The command with real names in the place of the page's."""
    for pattern, real in STANDS_FOR.items():
        command = re.sub(pattern, real, command)
    return command.replace("FOLDER", folder).replace("PORT", str(port)).strip()
