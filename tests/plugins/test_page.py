"""docs/plugins.md: its plugins work as they stand there, and its list of names is that of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest

from seg import plugin
from seg.auth.interfaces import CheckerContext
from seg.auth.plugins import checker_named
from seg.config.schema import Filter
from seg.filter.answers import Accept, Reject
from seg.filter.milter.client import milter
from seg.filter.plugins import load_filters
from seg.policy.interfaces import ProviderContext
from seg.policy.plugins import in_order
from seg.policy.requirement import NoOpinion, Refuse
from seg.policy.static import StaticProvider
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink
from tests.filter.messages import message
from tests.plugin_packages import PluginCase
from tests.plugins.page import page, updated
from tests.policy.doubles import host, question


class PageTests(PluginCase):
    """Each plugin of the page, by the name that it has there."""

    def setUp(self) -> None:
        if not page().exists():
            raise SkipTest("the documents aren't here")
        self.text = page().read_text("utf-8")
        self.sources = re.findall(r"^```python\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)

    def plugins(self) -> dict[str, str]:
        """The sources, each in a module of its own."""
        return {f"example{number}": source for number, source in enumerate(self.sources)}

    def test_provider(self) -> None:
        """It refuses the hosts that it names, and has no opinion of others."""
        context = ProviderContext(FakeResolver(), RecordingSink(), None)
        provider, _ = in_order(("not-there", "static"), (StaticProvider(),), context, self.package(**self.plugins()))
        view = provider.open(question())
        for name, wanted in (("mx.elsewhere.example", Refuse("not there")), ("mx.example", NoOpinion("elsewhere"))):
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(view.answer(host(name)))), wanted)

    def test_filter(self) -> None:
        """It refuses a message without a subject."""
        tables = (Filter(name="subjects", kind="with-subject"),)
        package = self.package(**self.plugins())
        (found,) = load_filters(tables, milter, "mx.test", RecordingSink(), Clock(), package)
        for header, wanted in ((b"Subject: x\r\n", Accept()), (b"From: x\r\n", Reject("What is it about?"))):
            judged = Deferred.fromCoroutine(found.filter.judge(message(header)))
            self.assertEqual(self.successResultOf(judged), wanted)

    def test_checker(self) -> None:
        """It takes everybody of its domain, with the right password."""
        context = CheckerContext(RecordingSink(), None, execute)
        checker = checker_named("one-domain", context, self.package(**self.plugins()))
        right = UsernamePassword(b"me@example.com", b"correct horse")
        self.assertEqual(self.successResultOf(checker.requestAvatarId(right)), b"me@example.com")
        for user, password in ((b"me@example.net", b"correct horse"), (b"me@example.com", b"wrong")):
            self.failureResultOf(checker.requestAvatarId(UsernamePassword(user, password)), UnauthorizedLogin)

    def test_short(self) -> None:
        """Each class has about ten lines, and imports nothing of the gateway but `seg.plugin`."""
        self.assertEqual(len(self.sources), 3)
        for source in self.sources:
            tree = ast.parse(source)
            (kind,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
            self.assertLessEqual(len([line for line in ast.get_source_segment(source, kind).splitlines() if line]), 10)
            modules = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
            self.assertEqual([module for module in modules if module.startswith("seg")], ["seg.plugin"])

    def test_names(self) -> None:
        """The list of names is that of `seg.plugin` (``python -m tests.plugins.page`` writes it)."""
        self.assertEqual(self.text, updated())

    def test_all_is_told(self) -> None:
        """What the module imports is what it gives, in order."""
        tree = ast.parse(Path(plugin.__file__).read_text("utf-8"))
        imported = [
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module != "__future__"
            for alias in node.names
        ]
        self.assertEqual(sorted(imported), sorted(plugin.__all__))
