"""Every verb and option of ``seg`` that a page names is one of the program's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from page_checks.pages import BLOCK, ROOT, SHELL
from seg.cli.main import main as main_command


def command_lines(text: str) -> Iterator[str]:
    """Every command of ``seg`` that a page shows: a line of a block, or a text in backquotes."""
    for language, block in BLOCK.findall(text):
        if language in SHELL:
            lines = block.replace("\\\n", " ").splitlines()
            yield from (line.removeprefix("$ ") for line in lines if re.match(r"(\$ )?seg [a-z-]", line))
    yield from re.findall(r"`(seg [a-z-][^`\n]*)`", BLOCK.sub("", text))


def wrong_commands(page: Path) -> Iterator[str]:
    """A line for each command of ``seg`` whose verb or option the program doesn't have."""
    if page.name == "CHANGELOG.md":
        return  # it tells what was
    for line in command_lines(page.read_text("utf-8")):
        try:
            words = shlex.split(re.split(r" [|>;#] ?|  |; |, ", line)[0], comments=True)[1:]
            look_up(words)
        except ValueError:
            continue  # quotes of a sentence
        except click.UsageError as error:
            yield f"{page.relative_to(ROOT)}: {line}: {error.format_message()}"


def look_up(words: list[str]) -> None:
    """Find a command, and see whether it knows its options; what they are given isn't looked at.

    :raises click.UsageError: there is no such verb or option.
    """
    command: click.Command = main_command
    while True:
        context = click.Context(command, info_name=command.name)
        if not isinstance(command, click.Group):
            break
        while words and words[0].startswith("--"):
            known = {option: each for each in command.params for option in each.opts}
            option, _, value = words[0].partition("=")
            if option not in known and option != "--help":
                raise click.NoSuchOption(option)
            flag = option == "--help" or value or getattr(known[option], "is_flag", False)
            words = words[1 if flag else 2 :]
        found = command.get_command(context, words[0]) if words else None
        if words and found is None and re.fullmatch(r"[a-z][a-z-]+", words[0]):
            raise click.UsageError(f"there is no command {words[0]}")
        if found is None:
            return  # a placeholder, or the group itself
        command, words = found, words[1:]
    known_options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {
        "--help",
        "-h",
    }
    for word in words:
        option = word.partition("=")[0].rstrip(".,")
        if re.fullmatch(r"--[a-z][a-z0-9-]*", option) and option not in known_options:
            raise click.UsageError(f"there is no option {option}")
