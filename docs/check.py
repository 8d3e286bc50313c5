"""Checks the documentation: every relative link leads somewhere, every Python example compiles, every TOML example loads, every verb
and option of ``seg`` is one of the program's, every test that a table names and every name of the code is there.

Run it as ``python docs/check.py``; it prints a line for each fault and exits with 1 if there is one. That the generated
parts (configuration reference, log lines, decision tables) fit the code is held by the tests.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

from seg.cli.main import main as main_command

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every page of documentation."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    """A line for each relative link that leads nowhere."""
    for target in LINK.findall(BLOCK.sub("", page.read_text("utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists():
            yield f"{page.relative_to(ROOT)}: link to {target}: there is no such file"
        elif anchor and aim.suffix == ".md" and anchor not in anchors(aim):
            yield f"{page.relative_to(ROOT)}: link to {target}: there is no such heading"


def broken_examples(page: Path) -> Iterator[str]:
    """A line for each Python or TOML block that can't be read by a program."""
    for language, text in BLOCK.findall(page.read_text("utf-8")):
        try:
            if language == "python":
                compile(text, str(page), "exec")
            elif language == "toml":
                tomllib.loads(text)
        except (SyntaxError, tomllib.TOMLDecodeError) as error:
            yield f"{page.relative_to(ROOT)}: {language} example: {error}"


def command_lines(text: str) -> Iterator[str]:
    """Every command of ``seg`` that a page shows: a line of a block, or a text in backquotes."""
    for language, block in BLOCK.findall(text):
        if language in ("", "sh", "bash", "console", "shell"):
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


def missing_tests(page: Path) -> Iterator[str]:
    """A line for each test that a table names (``smtp/test_server `test_greeting` ``) and that isn't there."""
    for row in re.findall(r"^\|.*\|$", page.read_text("utf-8"), re.MULTILINE):
        cell = row.rstrip("|").rpartition("|")[2]
        for place, names in re.findall(r"(?<![\w`/])((?:\w+/)?test_\w+)((?: ?`\w+`,?)*)", cell):
            files = sorted((ROOT / "tests").glob(f"{place}*.py"))
            source = "".join(file.read_text("utf-8") for file in files)
            if not files:
                yield f"{page.relative_to(ROOT)}: there is no test {place}"
            for name in re.findall(r"`(\w+)`", names):
                if not re.search(rf"\b(?:def|class) {name}", source):
                    yield f"{page.relative_to(ROOT)}: there is no {name} in {place}"


def missing_names(page: Path) -> Iterator[str]:
    """A line for each name of the code (``seg.smtp.address.check``, or a class beside a link to a file of it) that isn't there."""
    if page.name == "CHANGELOG.md":
        return  # it tells what was
    text = BLOCK.sub("", page.read_text("utf-8"))
    for dotted in set(re.findall(r"`(seg(?:\.[A-Za-z_]\w*)+)[`.(]", text)):
        if (
            not (ROOT / "packaging" / "systemd" / dotted).exists()
            and not dotted.endswith(".toml")
            and not is_there(dotted)
        ):
            yield f"{page.relative_to(ROOT)}: there is no {dotted}"
    for line in text.splitlines():
        files = [page.parent / target for target in LINK.findall(line) if target.endswith(".py")]
        source = "".join(file.read_text("utf-8") for file in files if file.exists())
        for name in re.findall(r"`([A-Z]\w+(?:\.\w+)?)`", line) if source else ():
            kind, _, method = name.partition(".")
            if not re.search(rf"\b(class {kind}|{kind} =|import .*{kind})\b", source) or f"def {method}" not in source:
                yield f"{page.relative_to(ROOT)}: there is no {name} in the files that the line names"


def is_there(dotted: str) -> bool:
    """Whether a module, or something at a module's top, has this name."""
    place = ROOT.joinpath(*dotted.split("."))
    if place.is_dir() or place.with_suffix(".py").is_file():
        return True
    module = place.parent.with_suffix(".py")
    return module.is_file() and bool(
        re.search(
            rf"^(class|def|async def) {place.name}\b|^{place.name}\b|\b{place.name},?$",
            module.read_text("utf-8"),
            re.MULTILINE,
        )
    )


def main() -> int:
    """Check all pages."""
    checks = (broken_links, broken_examples, wrong_commands, missing_tests, missing_names)
    faults = [fault for page in pages() for check in checks for fault in check(page)]
    print("\n".join(faults) or f"{len(pages())} pages, no faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
