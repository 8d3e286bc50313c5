"""Runs what a page tells to type, against a gateway in a small internet: each command has to end with 0, and to begin its output as shown.

A command of a block always has to work; one within a sentence may lack its arguments, as it is only named there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
from click.testing import CliRunner

from page_checks.left_out import OF_THE_MOMENT, made_real, reason, statuses
from page_checks.pages import BLOCK, ROOT, SHELL
from seg.cli.main import main as seg

PROMPT = re.compile(r"\$ ")
START = re.compile(
    r"(\.venv/bin/)?(seg [a-z-]|twistd |python3? |pip )|curl |/opt/|apt-get |systemctl |docker |export |install |cd$|ln "
)
NUMBER = re.compile(r"\d+")
LONGEST = 20  # seconds for a command of the shell


@attrs.frozen
class Shown:
    """A command of a page."""

    command: str
    output: tuple[str, ...] = ()  # what the page shows of it
    named: bool = False  # within a sentence

    @property
    def of_seg(self) -> bool:
        """Whether nothing but ``seg`` is needed for it."""
        return self.command.startswith("seg ") and not re.search(r"[|;&$]", self.command)


def shown(page: Path) -> Iterator[Shown]:
    """Every command of a page, once; the list of changes tells what was."""
    if page.name == "CHANGELOG.md":
        return
    text = page.read_text("utf-8")
    seen = set()
    for language, block in BLOCK.findall(text):
        if language in SHELL:
            for each in of_block(block, language != ""):
                if each.command not in seen:
                    seen.add(each.command)
                    yield each
    rest = re.sub(r"(?m)^\| `seg .*$", "", BLOCK.sub("", text)) if page.name == "cli.md" else BLOCK.sub("", text)
    for command in re.findall(r"`(seg [a-z-][^`\n]*)`", rest):
        if command not in seen:
            seen.add(command)
            yield Shown(command, named=True)


def of_block(block: str, script: bool) -> Iterator[Shown]:
    """The commands of a block.

    :param script: every line is one; else those that begin as one, and what follows is output.
    """
    lines = [line for line in re.sub(r"\\\n *", "", block).splitlines() if line.strip()]
    start = PROMPT if any(map(PROMPT.match, lines)) else START
    while lines:
        line = lines.pop(0)
        here = re.search(r"<<'?(\w+)'?$", line)
        if here:
            end = lines.index(here[1]) + 1
            yield Shown("\n".join([line, *lines[:end]]))
            del lines[:end]
        elif script or start.match(line):
            output = []
            while not script and lines and not start.match(lines[0]):
                output.append(lines.pop(0))
            yield Shown(re.sub(r"\s+#.*", "", line.removeprefix("$ ")), tuple(output))


@contextmanager
def place() -> Iterator[tuple[Path, int]]:
    """A running gateway: its folder, and its port."""
    folder = Path(tempfile.mkdtemp(prefix="seg-docs-"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "docs")])}
    words = [sys.executable, "-m", "page_checks.place", str(folder)]
    child = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None  # noqa: PT018
    before = Path.cwd()
    try:
        line = child.stdout.readline()
        if not line:
            raise SystemExit("the gateway for the pages' commands didn't start (see above)")
        os.chdir(folder)
        prepare(folder)
        yield folder, json.loads(line)["port"]
    finally:
        os.chdir(before)
        child.stdin.close()
        child.wait(40)
        shutil.rmtree(folder, ignore_errors=True)


def prepare(folder: Path) -> None:
    """Files that commands name, and ``seg`` for those of the shell."""
    run_seg(["certconfig", "new", "own", "gateway.lab.example"], folder)
    shutil.copy(folder / "certificates" / "own.pem", folder / "own.pem")
    (folder / "provider.password").write_text("a password\n")
    run_seg(["destconfig", "export", "controls.ini"], folder)
    (folder / "bin").mkdir()
    wrapper = folder / "bin" / "seg"
    program = "from seg.cli.main import main; main()"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}" --config {folder}/seg.toml "$@"\n')
    wrapper.chmod(0o755)


def run_seg(words: Sequence[str], folder: Path) -> tuple[int, str]:
    """Exit status and output of a command of seg, run in this process."""
    done = CliRunner().invoke(seg, ["--config", str(folder / "seg.toml"), *words], prog_name="seg")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return 1, repr(done.exception)
    return done.exit_code, done.output


def run_shell(command: str, folder: Path) -> tuple[int, str]:
    """The same of any command."""
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], check=False, cwd=folder, env=environment, timeout=LONGEST,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, f"not within {LONGEST} s"
    return done.returncode, done.stdout


def failing_commands(pages: Sequence[Path]) -> Iterator[str]:
    """A line for each command that doesn't do what its page says."""
    with place() as (folder, port):
        kept = {name: (folder / name).read_bytes() for name in ("seg.toml", "destinations.toml")}
        for page in pages:
            for each in shown(page):
                if not reason(each.command) and (fault := failed(each, folder, port)):
                    yield f"{page.relative_to(ROOT)}: {each.command}: {fault}"
            yield from (
                f"{page.relative_to(ROOT)}: no such line in the log: {line}" for line in not_logged(page, folder)
            )
            as_before(folder, kept)


def as_before(folder: Path, kept: Mapping[str, bytes]) -> None:
    """Configuration, deliveries and listeners as they were before a page's commands."""
    run_seg(["clearchanges", "--yes"], folder)
    run_seg(["resume"], folder)
    run_seg(["workqueue", "resume"], folder)
    if any((folder / name).read_bytes() != data for name, data in kept.items()):
        for name, data in kept.items():
            (folder / name).write_bytes(data)
        run_seg(["reload"], folder)


def not_logged(page: Path, folder: Path) -> Iterator[str]:
    """The beginnings of log lines in the tour's table that no line of the log has, whatever its numbers."""
    if page.name == "tour.md":
        masked = NUMBER.sub("0", (folder / "var" / "log" / "mail.log").read_text("utf-8"))
        lines = re.findall(r"(?m)^\| `([^`]+)` \|", page.read_text("utf-8"))
        yield from (line for line in lines if f" Info: {NUMBER.sub('0', line)}" not in masked)


def failed(each: Shown, folder: Path, port: int) -> str:
    """What is wrong with a command; "" if nothing."""
    command = made_real(each.command, str(folder), port)
    words = shlex.split(command)[1:] if each.of_seg else []
    status, output = run_seg(words, folder) if each.of_seg else run_shell(command, folder)
    if status == 2 and each.named:
        return ""  # only named: the arguments are left out
    if status not in statuses(each.command):
        return f"status {status}: {output.strip()[-300:]}"
    return "" if re.search(OF_THE_MOMENT, each.command) else differs(each.output, output)


def differs(wanted: Sequence[str], output: str) -> str:
    """How an output doesn't begin as the one that a page shows: by its first word, numbers aside; "" if it does."""
    first, got = beginning("\n".join(wanted)), beginning(output)
    return "" if not first or first == got else f"begins with {got!r}, not with {first!r}"


def beginning(text: str) -> str:
    """The first word of a text, cut short."""
    return NUMBER.sub("0", (text.split() or [""])[0])[:10]
