"""Every test that a table names, and every module, class and file that a page names, is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from page_checks.pages import BLOCK, LINK, ROOT

# Names that look like our classes and are the DNS's, systemd's, Twisted's.
OTHERS = {"ServFail", "NotImp", "AmbientCapabilities", "CapabilityBoundingSet", "UnauthorizedLogin"}
CLASS = re.compile(r"`([A-Z][a-z]+[A-Z]\w*|I[A-Z][a-z]\w+)(?:\.\w+)?(?:\(\))?`")


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


def missing_files(page: Path) -> Iterator[str]:
    """A line for each file (``tests/doubles.py``, ``deliver/scheduler``) and each class (``QueueIndex``) that isn't there."""
    if page.name == "CHANGELOG.md":
        return
    text = page.read_text("utf-8")
    if page.name == "glossary.md":  # a column tells what was
        text = re.sub(r"(?m)^\| `[^|]*\|", "", text)
    yield from (f"{page.relative_to(ROOT)}: there is no {name}" for name in unknown(text))


def unknown(text: str) -> Iterator[str]:
    """Files, modules named from their room, tests, and classes that a page names and that aren't there; but for tests, outside blocks."""
    whole, text = text, BLOCK.sub("", text)
    for name in sorted(set(re.findall(r"`((?:seg|tests|docs|bench|packaging|twisted|etc)/[\w./*-]+)`", text))):
        if not any(ROOT.glob(name)):
            yield name
    for name in sorted(set(re.findall(r"`(\w+(?:/\w+)+)(?:\.py)?`", text)) - {"maildrop/bad"}):
        room, inner = ROOT / "seg" / name.partition("/")[0], ROOT / "seg" / name
        if (room / "__init__.py").exists() and not inner.is_dir() and not inner.with_suffix(".py").exists():
            yield f"{name} in seg"
    for name in sorted(set(re.findall(r"(?<![\w/.])((?:tests|bench)(?:\.\w+)+)", whole))):
        if not is_test(name):
            yield name
    for name in sorted(set(CLASS.findall(text)) - OTHERS - classes()):
        yield f"class {name}"


def is_test(dotted: str) -> bool:
    """Whether there is such a module of tests or benches, or such a class or method in one."""
    place, parts = ROOT, dotted.split(".")
    while parts and (place / parts[0]).is_dir():
        place = place / parts.pop(0)
    if not parts:
        return True
    source = (place / f"{parts[0]}.py").read_text("utf-8") if (place / f"{parts[0]}.py").exists() else ""
    return bool(source) and all(re.search(rf"\b(?:class|def) {name}\b", source) for name in parts[1:])


@cache
def classes() -> frozenset[str]:
    """Every class, and every other name that a module gives, of the project and of its tests."""
    files = [file for top in ("seg", "tests", "twisted") for file in (ROOT / top).rglob("*.py")]
    source = "\n".join(file.read_text("utf-8") for file in files)
    found = re.findall(r"(?m)^\s*class (\w+)|^(?:type )?(\w+)(?:: [^=]+)? =|^from .* as (\w+)$", source)
    return frozenset(name for each in found for name in each if name)


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
