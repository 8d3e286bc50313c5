"""How the command asks: one question a line, the default in brackets, an empty line takes it.

Answers are read from standard input line by line, so a script can type them. Ctrl-C and the end of the input leave, with
nothing done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from seg.cli.output import say


def can_ask() -> bool:
    """Whether somebody sits in front of it."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str, default: str = "", check: Callable[[str], str] | None = None) -> str:
    """A value; ``[default]> `` stands on a line of its own behind the question.

    :param check: what is wrong with an answer, "" when nothing is: it is told, and asked again.
    """
    while True:
        say(question)
        answer = _line(f"[{default}]> ") or default
        problem = check(answer) if check is not None else ""
        if not problem:
            return answer
        say(problem)


def confirm(question: str, default: bool = False) -> bool:
    """Yes or no, ``question [N]> `` on one line."""
    while True:
        answer = _line(f"{question} [{'Y' if default else 'N'}]> ").lower()
        if not answer:
            return default
        if answer in ("y", "yes", "n", "no"):
            return answer.startswith("y")
        say("Please answer y or n.")


def sure(question: str, told: str, yes: bool, as_json: bool = False) -> None:
    """Ask once before what can't be taken back.

    :param told: what it would do, for a script.
    :param yes: don't ask.
    :param as_json: a program reads the answer, and can't be asked.
    :raises click.UsageError: nobody can be asked.
    :raises click.Abort: the answer is no.
    """
    if yes:
        return
    if as_json or not can_ask():
        raise click.UsageError(f"{told}: {'with --json' if as_json else 'without a terminal'} say --yes")
    if not confirm(question):
        raise click.Abort


def choose(question: str, options: Sequence[str], default: int = 1) -> int:
    """One of numbered options; its number, from 1."""
    while True:
        if question:
            say(question)
        for number, option in enumerate(options, 1):
            say(f"{number}. {option}")
        answer = _line(f"[{default}]> ")
        if not answer:
            return default
        if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= len(options):
            return int(answer)
        found = [number for number, option in enumerate(options, 1) if option.lower().startswith(answer.lower())]
        if len(found) == 1:
            return found[0]
        say(f"Please answer with a number from 1 to {len(options)}.")


def number(question: str, default: int | None, low: int, high: int) -> int:
    """A whole number in a range."""

    def check(answer: str) -> str:
        if answer.isascii() and answer.isdigit() and low <= int(answer) <= high:
            return ""
        return f"Please answer with a number from {low} to {high}."

    return int(ask(question, "" if default is None else str(default), check))


def menu(title: str, operations: dict[str, str]) -> str:
    """One of the operations by its name, any case, or a prefix that fits one only; "" leaves the menu."""
    say(title)
    say("\nChoose the operation you want to perform:")
    for name, meaning in operations.items():
        say(f"- {name} - {meaning}")
    while True:
        answer = _line("[]> ").upper()
        found = [name for name in operations if name == answer] or [n for n in operations if n.startswith(answer)]
        if not answer or len(found) == 1:
            return found[0] if answer else ""
        say(f"Please answer with one of {', '.join(operations)}, or with an empty line to leave.")


def _line(prompt: str) -> str:
    say(prompt, nl=False)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        say()
        raise click.Abort
    return line.strip()
