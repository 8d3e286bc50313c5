"""How large files and functions may be. What is larger today is named with its size, and may only shrink."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_layering import PACKAGE, module_name, modules, tree

MOST_LINES = 400  # of a file
MOST_FUNCTION_LINES = 60
MOST_PARAMETERS = 7  # of a function, beside self and cls

LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
MANY_PARAMETERS: dict[str, int] = {}
# A class has its name alone, but for these.
TWICE = {"TempFail"}  # what a filter, and what a policy provider may answer: both are what plugins import


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of a file with its name: ``seg.smtp.server.ServerConnection.receive``."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{prefix}.{child.name}", child
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield from walk(child, f"{prefix}.{child.name}")
            elif not isinstance(child, ast.expr):
                yield from walk(child, prefix)

    yield from walk(tree(path), module_name(path))


def file_lines() -> dict[str, int]:
    """The lines of every file that has too many."""
    sizes = {module_name(path): len(path.read_text("utf-8").splitlines()) for path in modules()}
    return {name: size for name, size in sizes.items() if size > MOST_LINES}


def function_lines() -> dict[str, int]:
    """The lines of every function that has too many."""
    found = {}
    for path in modules():
        for name, function in functions(path):
            size = (function.end_lineno or function.lineno) - function.lineno + 1
            if size > MOST_FUNCTION_LINES:
                found[name] = size
    return found


def parameters() -> dict[str, int]:
    """The parameters of every function that has too many; verbs of the command line have one for each option."""
    found = {}
    for path in modules():
        for name, function in functions(path):
            arguments = function.args
            names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            number = len([each for each in names if each not in ("self", "cls")])
            if number > MOST_PARAMETERS:
                found[name] = number
    return found


class ShapeTests(SynchronousTestCase):
    """Sizes, and names of classes."""

    def hold(self, found: dict[str, int], known: dict[str, int], what: str) -> None:
        """Nothing is larger than it may be, and what has shrunk is written down."""
        grown = {name: size for name, size in found.items() if size > known.get(name, 0)}
        self.assertEqual(grown, {}, f"too many {what}: divide it")
        shrunk = {name: found.get(name, 0) for name, size in known.items() if found.get(name, 0) < size}
        self.assertEqual(shrunk, {}, "fewer now: write the new number down, or take the name out")

    def test_files(self) -> None:
        """A file is read in one sitting."""
        self.hold(file_lines(), LONG_FILES, "lines")

    def test_functions(self) -> None:
        """A function fits a screen."""
        self.hold(function_lines(), LONG_FUNCTIONS, "lines")

    def test_parameters(self) -> None:
        """What always goes together is one value."""
        self.hold(parameters(), MANY_PARAMETERS, "parameters")

    def test_class_names(self) -> None:
        """No two classes have the same name."""
        places = defaultdict(list)
        for path in modules():
            if PACKAGE / "lab" in path.parents:
                continue  # the other side of the wire has the same nouns
            for node in tree(path).body:
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(module_name(path))
        self.assertEqual({name: found for name, found in places.items() if len(found) > 1 and name not in TWICE}, {})
