"""The house keeps its shape: a room imports only from rooms above it, stages never meet, pure modules stay pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import seg

HOUSE = Path(seg.__file__).parent

# From the ground up: a room may import from those before it (and from itself).
ROOMS = (
    "version",
    "status",
    "echoes",
    "causes",
    "errors",
    "model",
    "client",
    "shares",
    "events",
    "interfaces",
    "conditions",
    "clock",
    "clockwatch",
    "files",
    "lock",
    "threads",
    "config",
    "descriptors",
    "memory",
    "smtp",
    "dns",
    "tls",
    "policy",
    "mtasts",
    "dane",
    "auth",
    "local",
    "filter",
    "receive",
    "drop",
    "queue",
    "deliver",
    "bounce",
    "check",
    "change",
    "maillog",
    "admin",
    "cli",
    "wiring",
    "live",
    "logs",
    "window",
    "startup",
    "api",
    "service",
    "lab",
)
# They meet through interfaces, wired in seg.wiring. A lease is what the queue hands to a delivery: their common noun.
STAGES = {"receive", "queue", "deliver", "bounce", "maillog"}
SHARED = {("deliver", "seg.queue.lease")}
# The demonstration is a verb of the command, and runs in the lab; a check without a gateway wires one's lookups in the command.
EXCEPTIONS = {("cli", "lab"), ("cli", "wiring"), ("cli", "service")}
# No reactor, no socket: they can be tested, and reasoned about, as functions.
PURE = (
    "causes.py",
    "model.py",
    "errors.py",
    "echoes.py",
    "smtp",
    "config",
    "policy/requirement.py",
    "policy/judge.py",
    "policy/static.py",
    "dane/tlsa.py",
    "dane/authenticator.py",
    "mtasts/record.py",
    "mtasts/policy.py",
    "mtasts/match.py",
    "local/aliases.py",
    "local/table.py",
    "filter/answers.py",
    "filter/header.py",
    "filter/edits.py",
    "filter/changes.py",
    "filter/milter/wire.py",
    "filter/milter/options.py",
    "filter/milter/replies.py",
    "filter/milter/macros.py",
    "filter/milter/script.py",
    "queue/schedule.py",
    "queue/files.py",
    "tls/chain.py",
    "tls/limits.py",
    "tls/names.py",
    "tls/webpki.py",
)


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(path for path in HOUSE.rglob("*.py") if path != HOUSE / "__init__.py")


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports when it runs; those for type checkers only don't count."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(inner for statement in node.body for inner in ast.walk(statement))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "seg":
                yield from (f"seg.{alias.name}" for alias in node.names)
            else:
                yield node.module


def room_of(module: str) -> str:
    """``seg.queue.lease`` is in ``queue``."""
    return module.split(".")[1]


class LayeringTests(SynchronousTestCase):
    """The rules of the house."""

    def test_every_room_is_named(self) -> None:
        """A new room has to find its place in the order."""
        found = {path.relative_to(HOUSE).parts[0].removesuffix(".py") for path in modules()} - {"__main__", "etc"}
        self.assertEqual(found - set(ROOMS), set())

    def test_order(self) -> None:
        """No import runs upwards, and stages don't import each other."""
        faults = []
        for path in modules():
            room = path.relative_to(HOUSE).parts[0].removesuffix(".py")
            for module in imports(path):
                if not module.startswith("seg."):
                    continue
                other = room_of(module)
                upwards = ROOMS.index(other) > ROOMS.index(room) and (room, other) not in EXCEPTIONS
                met = {room, other} <= STAGES and room != other and (room, module) not in SHARED
                if upwards or met:
                    faults.append(f"{path.relative_to(HOUSE)} imports {module}")
        self.assertEqual(faults, [])

    def test_pure(self) -> None:
        """Pure modules import neither Twisted nor sockets."""
        faults = []
        for place in PURE:
            root = HOUSE / place
            for path in [root] if root.suffix else sorted(root.rglob("*.py")):
                bad = [m for m in imports(path) if m.split(".")[0] in ("twisted", "socket", "asyncio", "threading")]
                faults += [f"{path.relative_to(HOUSE)} imports {module}" for module in bad]
        self.assertEqual(faults, [])

    def test_no_reactor_at_module_level(self) -> None:
        """Reactors are handed in: no module takes the global one when it is imported."""
        faults = []
        for path in modules():
            tree = ast.parse(path.read_text("utf-8"))
            for node in tree.body:
                if isinstance(node, ast.ImportFrom) and node.module == "twisted.internet":
                    faults += [str(path) for alias in node.names if alias.name == "reactor"]
        self.assertEqual(faults, [])

    def test_packages_hold_only_their_docstring(self) -> None:
        """``__init__.py`` tells what a room is for, and does nothing."""
        for path in HOUSE.rglob("__init__.py"):
            tree = ast.parse(path.read_text("utf-8"))
            self.assertTrue(ast.get_docstring(tree), path)
            self.assertEqual(len(tree.body), 1, path)
