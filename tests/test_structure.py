"""One way through the code: what imports, returns, hands on, and decides by a text. What isn't right yet is named with its number, which
may only shrink."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_layering import PACKAGE, imports, module_name, modules, names, tree
from tests.test_shape import functions

MOST_IMPORTS = 30  # files of the package that one file imports
MOST_RETURNS = 8  # of a function
FORWARDS = 48  # methods that only hand their own arguments to one member of self, in all, at most
MOST_FORWARDS = 4  # of a class that has as many other methods, or fewer
# What has one mechanism, in `common`, and who does it by itself for a reason.
EVICTING = {"seg.common.bounded"}  # a bounded table drops its oldest entry
FINDING_PLUGINS = {"seg.common.plugins"}
PUTTING_IN_PLACE = {  # a finished file gets its name, durably
    "seg.common.files",
    "seg.queue.disk",  # the spool: many files share their syncs
    "seg.queue.health",
    "seg.queue.operations",
    "seg.queue.reserve",
}
# Prefixes of a notation, which aren't prose whatever they look like.
NOTATION = {"unix:", "ipv6:", "IPv6:", "IPV6:", "tls-required:", "received:"}
# Names under which texts for people are kept: a word looked for in one of them is a decision, however short it is.
TEXTS = {
    "text",
    "reason",
    "refusal",
    "outcome",
    "summary",
    "cause",
    "errors",
    "said",
    "words",
    "static",
    "dane",
    "sts",
    "line",
}
DISKS = ("os", "disk", "self._disk")
LOOKING = ("startswith", "endswith", "partition", "removeprefix", "find", "index", "count")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def returns(function: Function) -> int:
    """How many returns a function has, without those of functions inside it."""
    count, todo = 0, list[ast.AST](function.body)
    while todo:
        each = todo.pop()
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            count += isinstance(each, ast.Return)
            todo.extend(ast.iter_child_nodes(each))
    return count


def is_forward(function: ast.stmt) -> bool:
    """Whether a method only hands its own arguments on to one member of self."""
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or function.name.startswith("_"):
        return False
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    arguments = function.args
    if (
        len(body) != 1
        or [a.arg for a in arguments.args[:1]] != ["self"]
        or not isinstance(body[0], ast.Return | ast.Expr)
    ):
        return False
    value = body[0].value
    value = value.value if isinstance(value, ast.Await) else value
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Deferred.fromCoroutine" and len(value.args) == 1:
        value = value.args[0]
    own = {a.arg for a in (*arguments.args[1:], *arguments.kwonlyargs)}
    if isinstance(value, ast.Call):
        given = [*value.args, *(keyword.value for keyword in value.keywords)]
        if not all(isinstance(each, ast.Name) and each.id in own for each in given):
            return False
        value = value.func
    elif own:
        return False
    depth = 0
    while isinstance(value, ast.Attribute):
        depth, value = depth + 1, value.value
    return depth >= 2 and isinstance(value, ast.Name) and value.id == "self"


def forwards() -> Iterator[tuple[str, int, int]]:
    """Of each class: its name, its methods that only hand on, and its public methods."""
    for path in modules():
        for holder in ast.walk(tree(path)):
            if isinstance(holder, ast.ClassDef):
                methods = [n for n in holder.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
                public = [node for node in methods if not node.name.startswith("_")]
                yield f"{module_name(path)}.{holder.name}", sum(map(is_forward, public)), len(public)


class Prose:
    """Finds where a file decides by a text that is for people: compared whole, or looked into for a word."""

    def __init__(self, constants: dict[str, str]) -> None:
        """:param constants: the package's texts by the name of their constant."""
        self._constants = constants

    def places(self, module: ast.Module) -> Iterator[int]:
        """The lines."""
        for node in ast.walk(module):
            if isinstance(node, ast.Compare) and any(self._compares(*each) for each in pairs(node)):
                yield node.lineno
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                looked = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else node.args[:1]
                if node.func.attr in LOOKING and any(self._looks(each, node.func.value) for each in looked):
                    yield node.lineno

    def _compares(self, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> bool:
        if isinstance(operator, ast.In | ast.NotIn):
            fixed = isinstance(right, ast.Tuple | ast.Set | ast.List | ast.Dict)
            return not fixed and self._looks(left, right)
        return isinstance(operator, ast.Eq | ast.NotEq) and (self._is_prose(left) or self._is_prose(right))

    def _looks(self, word: ast.expr, into: ast.expr) -> bool:
        text = self._text(word)
        is_word = bool(re.search(r"[A-Za-z]{2}", text)) and text not in NOTATION and not text.startswith(".")
        return self._is_prose(word) or (is_word and self._about(into) in TEXTS)

    def _is_prose(self, node: ast.expr) -> bool:
        value = self._text(node)
        if value in NOTATION or not re.search(r"[A-Za-z]{2}", value):
            return False
        return " " in value.strip() or value != value.strip() or value.endswith(":")

    def _text(self, node: ast.AST) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return self._constants.get(node.id, "") if isinstance(node, ast.Name) and node.id.isupper() else ""

    def _about(self, node: ast.AST) -> str:
        while isinstance(node, ast.Call):
            node = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if isinstance(node, ast.Subscript):
            return self._text(node.slice)
        return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def pairs(node: ast.Compare) -> Iterator[tuple[ast.cmpop, ast.expr, ast.expr]]:
    """Each comparison of a chain."""
    return zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False)


def constants() -> dict[str, str]:
    """Every constant text of the package."""
    return {
        target.id: node.value.value
        for path in modules()
        for node in tree(path).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@cache
def calls(path: Path) -> set[str]:
    """What a file calls: names, and last names of attributes."""
    found = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    return {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in found}


def puts_in_place(path: Path) -> bool:
    """Whether a file gives a finished file its name by itself, and syncs."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method = node.func.attr
            of_path = method == "replace" and len(node.args) == 1 and not node.keywords
            if of_path or (method in ("rename", "replace") and ast.unparse(node.func.value) in DISKS):
                return bool(calls(path) & {"fsync", "sync"})
    return False


class StructureTests(SynchronousTestCase):
    """Figures of the whole package."""

    def test_imports(self) -> None:
        """No file needs to know the half of all others."""
        found = {module_name(path): len((imports(path) & names()) - {module_name(path)}) for path in modules()}
        self.assertEqual({name: count for name, count in found.items() if count > MOST_IMPORTS}, {})

    def test_type_checking(self) -> None:
        """Nothing is imported for type checkers alone: who names a type may import it."""
        found = [module_name(path) for path in modules() if "TYPE_CHECKING" in path.read_text("utf-8")]
        self.assertEqual(found, [])

    def test_returns(self) -> None:
        """A function with more ends than a reader can hold is a table, or several functions."""
        found = {name: returns(function) for path in modules() for name, function in functions(path)}
        more = {name: count for name, count in found.items() if count > MOST_RETURNS}
        self.assertEqual(more, {})

    def test_forwards(self) -> None:
        """A layer that only passes on is one too many."""
        found = list(forwards())
        mostly = [name for name, handed, public in found if handed > MOST_FORWARDS and 2 * handed >= public]
        self.assertEqual(mostly, [])
        number = sum(handed for _, handed, _ in found)
        self.assertLessEqual(number, FORWARDS, "more than before: let callers have the member itself")

    def test_prose(self) -> None:
        """No decision hangs on the wording of a text for people: causes are types."""
        prose = Prose(constants())
        found = [f"{module_name(path)}:{line}" for path in modules() for line in prose.places(tree(path))]
        self.assertEqual(found, [])

    def test_mechanisms(self) -> None:
        """What several need is made once: bounded tables, files put in place, plugins found."""
        evicting = re.compile(r"popitem\(last=False\)|(del |remove\(|pop\().{0,40}next\(iter\(")
        ours = [path for path in modules() if PACKAGE / "lab" not in path.parents]
        for found, known in (
            ([path for path in ours if evicting.search(path.read_text("utf-8"))], EVICTING),
            ([path for path in ours if "getPlugins" in calls(path)], FINDING_PLUGINS),
            ([path for path in ours if puts_in_place(path)], PUTTING_IN_PLACE),
        ):
            self.assertEqual({module_name(path) for path in found} - known, set())


class ProseTests(SynchronousTestCase):
    """`Prose` and `is_forward`, on small examples."""

    def test_prose(self) -> None:
        """A text with a blank or a colon, or a word looked for in what is named as texts are; notations and closed sets are none."""
        for code, is_found in (
            ("error == 'not found'", True),
            ("'not found' in body", True),
            ("reason.startswith('TLS')", True),
            ("WORDING in x", True),
            ("answer['reason'].count('TLS')", True),
            ("name.startswith('TLS')", False),
            ("address.startswith('unix:')", False),
            ("kind == 'bounce'", False),
            ("text in ('not found', 'gone')", False),
            ("reason.startswith(('.', '-'))", False),
        ):
            found = list(Prose({"WORDING": "no such host"}).places(ast.parse(code)))
            self.assertEqual(bool(found), is_found, code)

    def test_forward(self) -> None:
        """What hands on its own arguments, awaited or not; what adds anything, or is somebody's own member, is none."""
        for code, is_found in (
            ("def stop(self): return self._queue.stop()", True),
            ("async def stop(self, why):\n    '''Stop.'''\n    await self._queue.stop(why)", True),
            ("def size(self): return self._queue.size", True),
            ("def stop(self): return self._queue.stop(1)", False),
            ("def size(self): return self._size", False),
            ("def _stop(self): return self._queue.stop()", False),
        ):
            self.assertEqual(is_forward(ast.parse(code).body[0]), is_found, code)
