"""Who may import whom: rooms keep their order, files form no circle, pure modules stay pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import seg

PACKAGE = Path(seg.__file__).parent

# What each room may import of the others, besides itself. "queue:interfaces" is that module alone.
GROUND = "common mail events config"
IMPORTS = {
    "version": "",
    "common": "",
    "mail": "",
    "events": "mail common",
    "config": "mail common",
    "smtp": "mail common",
    "tls": "mail common events",
    "dns": GROUND,
    "auth": GROUND,
    "local": f"{GROUND} smtp",
    "queue": f"{GROUND} smtp",
    "maillog": f"{GROUND} version",
    "policy": f"{GROUND} dns tls",
    "filter": f"{GROUND} smtp version queue:interfaces",
    "dsn": f"{GROUND} smtp queue:interfaces",
    "maildrop": f"{GROUND} smtp filter queue:interfaces",
    "receive": f"{GROUND} smtp tls dns auth local filter queue:interfaces",
    "deliver": f"{GROUND} smtp tls dns policy queue:interfaces",
    "check": f"{GROUND} tls dns policy deliver queue:interfaces",
    "admin": f"{GROUND} tls dns auth check version queue:interfaces receive:interfaces deliver:interfaces policy:interfaces maillog:interfaces",
    "cli": f"{GROUND} smtp tls auth local filter admin maillog version",
}
# These put the others together, or start the gateway as a process.
FREE = {"gateway", "lab", "plugin"}
# What is still to be mended; an import that goes has to go from here as well.
LEFT_OVER = {
    ("seg.admin.configuration.usable", "seg.dsn.languages"),
    ("seg.admin.configuration.usable", "seg.filter.plugins"),
    ("seg.admin.configuration.usable", "seg.policy.plugins"),
    ("seg.admin.configuration.usable", "seg.receive.binding"),
    ("seg.admin.dialogues", "seg.deliver.debug_peers"),
    ("seg.admin.policies", "seg.policy.mtasts.cache"),
    ("seg.admin.policies", "seg.policy.mtasts.entry"),
    ("seg.admin.policies", "seg.policy.mtasts.fetch"),
    ("seg.admin.policies", "seg.policy.mtasts.store"),
    ("seg.admin.tcp", "seg.receive.binding"),
    ("seg.admin.workqueue", "seg.receive.workqueue"),
    ("seg.cli.demo", "seg.lab.cases"),
    ("seg.cli.demo", "seg.lab.demo"),
    ("seg.cli.demo", "seg.lab.findings"),
    ("seg.cli.demo", "seg.lab.gateway"),
    ("seg.cli.demo", "seg.lab.internet"),
    ("seg.cli.demo_show", "seg.lab.arrivals"),
    ("seg.cli.demo_show", "seg.lab.cases"),
    ("seg.cli.demo_show", "seg.lab.findings"),
    ("seg.cli.demo_show", "seg.lab.gateway"),
    ("seg.cli.demo_show", "seg.lab.internet"),
    ("seg.cli.demo_table", "seg.lab.cases"),
    ("seg.cli.demo_table", "seg.lab.findings"),
    ("seg.cli.preview", "seg.dsn.composer"),
    ("seg.cli.preview", "seg.dsn.languages"),
    ("seg.cli.sendmail", "seg.maildrop.drop_envelope"),
    ("seg.cli.sendmail", "seg.maildrop.folder"),
    ("seg.cli.sendmail_smtp", "seg.maildrop.drop_envelope"),
    ("seg.cli.sendmail_smtp", "seg.maildrop.folder"),
    ("seg.cli.sendmail_smtp", "seg.receive.transaction"),
    ("seg.cli.standalone", "seg.check.checks"),
    ("seg.cli.standalone", "seg.check.assembly"),
    ("seg.cli.standalone", "seg.policy.assembly"),
    ("seg.local.mail", "seg.auth.reloading_file"),
    ("seg.smtp.verdicts", "seg.config.marked"),
    ("seg.tls.groups", "seg.config.syntax"),
    ("seg.tls.parameters", "seg.config.schema"),
}
# Files that import each other in a circle, likewise.
CIRCLES: set[frozenset[str]] = set()
# The former homes of what plugins import; they stay for one release.
OLD_NAMES = {"seg.interfaces", "seg.auth.seams"}
# No reactor, no socket: they can be tested, and reasoned about, as functions.
PURE = (
    "mail",
    "common/echoes.py",
    "common/scram.py",
    "smtp",
    "config",
    "policy/requirement.py",
    "policy/judge.py",
    "policy/static.py",
    "policy/dane/tlsa.py",
    "policy/dane/authenticator.py",
    "policy/mtasts/record.py",
    "policy/mtasts/policy.py",
    "policy/mtasts/match.py",
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
    "filter/milter/commands.py",
    "queue/schedule.py",
    "queue/codec.py",
    "queue/paths.py",
    "receive/checks.py",
    "receive/session.py",
    "receive/end_of_data.py",
    "receive/transaction.py",
    "receive/received_header.py",
    "receive/proxy_protocol.py",
    "receive/recipients.py",
    "receive/senders.py",
    "tls/chain.py",
    "tls/limits.py",
    "tls/names.py",
    "tls/webpki.py",
)
MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))


def module_name(path: Path) -> str:
    """``seg.queue.codec``."""
    return ".".join(("seg", *path.relative_to(PACKAGE).with_suffix("").parts))


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """All modules, by name."""
    return frozenset(map(module_name, modules()))


@cache
def tree(path: Path) -> ast.Module:
    """A module, parsed."""
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules that a file imports: at its top, within functions, and for type checkers only."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in names() else node.module


def room_of(module: str) -> str:
    """``seg.queue.codec`` is in ``queue``."""
    return module.split(".")[1]


def allowed(room: str, module: str) -> bool:
    """Whether a file of a room may import a module of the package."""
    other, inner = room_of(module), module.split(".")[2:]
    for word in IMPORTS[room].split():
        name, _, only = word.partition(":")
        if name == other and (not only or inner[-1:] == [only]):
            return True
    return other == room


def circles() -> set[frozenset[str]]:
    """Groups of files that each lead to all others of the group (Tarjan's strongly connected components)."""
    graph = {module_name(path): sorted(set(imports(path)) & names()) for path in modules()}
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            at = stack.index(name)
            group = frozenset(stack[at:])
            del stack[at:]
            if len(group) > 1:
                found.add(group)

    for name in graph:
        if name not in order:
            visit(name)
    return found


class LayeringTests(SynchronousTestCase):
    """The table of imports, and what else keeps the parts apart."""

    def test_every_room_is_named(self) -> None:
        """A new room has to say what it may import."""
        found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}
        self.assertEqual(found - set(IMPORTS) - FREE - {"interfaces", "etc"}, set())

    def test_table(self) -> None:
        """Every import stands in the table, wherever in a file it is."""
        found = set()
        for path in modules():
            name = module_name(path)
            room = room_of(name)
            if room in FREE or name in OLD_NAMES:
                continue
            for module in imports(path):
                if module.startswith("seg.") and not allowed(room, module):
                    found.add((name, module))
        self.assertEqual(sorted(found - LEFT_OVER), [], "not allowed")
        self.assertEqual(sorted(LEFT_OVER - found), [], "mended: take it from LEFT_OVER")

    def test_circles(self) -> None:
        """Files don't import each other in a circle, not for type checkers either."""
        found = circles()
        self.assertEqual(found - CIRCLES, set(), "a new circle")
        self.assertEqual(CIRCLES - found, set(), "opened: take it from CIRCLES")

    def test_plugin(self) -> None:
        """Nothing imports what is there for third parties, but the name that it had before."""
        users = {module_name(path) for path in modules() if "seg.plugin" in imports(path)}
        self.assertEqual(users, {"seg.interfaces"})

    def test_no_hidden_imports(self) -> None:
        """What a module knows of it imports: nothing stands below TYPE_CHECKING."""
        self.assertEqual([module_name(path) for path in modules() if "TYPE_CHECKING" in path.read_text("utf-8")], [])

    def test_pure(self) -> None:
        """Pure modules import neither Twisted nor sockets."""
        faults = []
        for place in PURE:
            root = PACKAGE / place
            for path in [root] if root.suffix else sorted(root.rglob("*.py")):
                bad = [m for m in imports(path) if m.split(".")[0] in ("twisted", "socket", "asyncio", "threading")]
                faults += [f"{path.relative_to(PACKAGE)} imports {module}" for module in bad]
        self.assertEqual(faults, [])

    def test_no_reactor_at_module_level(self) -> None:
        """Reactors are handed in: no module takes the global one when it is imported."""
        faults = []
        for path in modules():
            for node in tree(path).body:
                if isinstance(node, ast.ImportFrom) and node.module == "twisted.internet":
                    faults += [str(path) for alias in node.names if alias.name == "reactor"]
        self.assertEqual(faults, [])

    def test_no_state_at_module_level(self) -> None:
        """What a module holds is never changed: several gateways fit into one process. No function says `global`."""
        faults = []
        for path in modules():
            faults += [f"{path}:{node.lineno}" for node in ast.walk(tree(path)) if isinstance(node, ast.Global)]
            held = {
                target.id
                for node in tree(path).body
                if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, MUTABLE)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
                if isinstance(target, ast.Name)
            }
            faults += [f"{path}:{line} {name}" for line, name in changes(tree(path)) if name in held]
        self.assertEqual(faults, [])

    def test_packages_hold_only_their_docstring(self) -> None:
        """``__init__.py`` tells what a room is for, and does nothing."""
        for path in PACKAGE.rglob("__init__.py"):
            self.assertTrue(ast.get_docstring(tree(path)), path)
            self.assertEqual(len(tree(path).body), 1, path)

    def test_packages_name_their_modules(self) -> None:
        """What a package's docstring names in backquotes is there: a module of its own, or one named from the top."""
        missing = []
        for path in PACKAGE.rglob("__init__.py"):
            for name in re.findall(
                r"`([a-z_]+(?:/[a-z_]+)*)`", (ast.get_docstring(tree(path)) or "").replace("``", '"')
            ):
                places = (path.parent / name, PACKAGE / name)
                if not any(place.is_dir() or place.with_suffix(".py").is_file() for place in places):
                    missing.append(f"{path.relative_to(PACKAGE)}: {name}")
        self.assertEqual(missing, [])


def changes(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Where functions change a container: an item set or deleted, or a method that changes it called."""
    verbs = {
        "append",
        "add",
        "update",
        "clear",
        "pop",
        "popitem",
        "setdefault",
        "extend",
        "remove",
        "discard",
        "insert",
    }
    for function in ast.walk(module):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        local = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        local |= {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
        for node in ast.walk(function):
            target = None
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
                target = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in verbs:
                target = node.func.value
            if isinstance(target, ast.Name) and target.id not in local:
                yield target.lineno, target.id
