"""Providers of third parties: found, put in order, or refused in words."""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from seg.common.errors import ConfigurationError
from seg.policy.chain import PolicyChain
from seg.policy.interfaces import ITLSPolicyProvider, ITLSPolicyProviderFactory, ProviderContext
from seg.policy.plugins import in_order, unknown_provider
from seg.policy.requirement import NoOpinion, TLSLevel
from seg.policy.static import StaticProvider
from seg.tls.peer import TLSVersion
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink
from tests.plugin_packages import PluginCase, documented
from tests.policy.doubles import FixedProvider, host, question

EXAMPLE = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from seg.plugin import ITLSPolicyProvider, ITLSPolicyProviderFactory

@implementer(IPlugin, ITLSPolicyProviderFactory, ITLSPolicyProvider)
class Example:
    name = "NAME"
    def create(self, context):
        CREATE
    def open(self, question):
        return None

example = Example()
"""


class PluginTests(PluginCase):
    """`in_order` over plugins in a package of their own."""

    def setUp(self) -> None:
        self.sink = RecordingSink()
        self.dane = FixedProvider("dane", NoOpinion("switched off"))

    def example(self, name: str = "example", create: str = "return self") -> str:
        """A plugin's source."""
        return EXAMPLE.replace("NAME", name).replace("CREATE", create)

    def find(self, *wanted: str, **sources: str) -> tuple[ITLSPolicyProvider, ...]:
        """The providers of these names."""
        context = ProviderContext(FakeResolver(), self.sink, None)
        return in_order(wanted, (self.dane, StaticProvider()), context, self.package(**sources))

    def refusal(self, *wanted: str, **sources: str) -> str:
        """The only problem."""
        (problem,) = self.assertRaises(ConfigurationError, self.find, *wanted, **sources).problems
        return str(problem)

    def test_documented_one(self) -> None:
        """The provider of the documentation works as it stands there, in its place between two of ours."""
        source = documented("providers.md")
        providers = self.find("dane", "acme", "static", acme=source)
        self.assertEqual([provider.name for provider in providers], ["dane", "acme", "static"])
        verifyObject(ITLSPolicyProviderFactory, providers[1])
        chain = PolicyChain(providers, self.sink, Clock())
        for domain, level, version, text in (
            ("partner.example", TLSLevel.MUST, TLSVersion.TLS1_3, "partner"),
            ("other.example", TLSLevel.MAY, TLSVersion.TLS1_2, "none(no partner)"),
        ):
            opened = chain.open(question(domain=domain))
            decision = self.successResultOf(Deferred.fromCoroutine(opened.decide(host())))
            self.assertEqual((decision.requirement.tls, decision.requirement.min_version), (level, version))
            self.assertEqual([opinion.text for opinion in decision.opinions][1], text)
        self.assertEqual(self.sink.events, [])

    def test_only_ours(self) -> None:
        """Where only our own are named no plugin is even loaded."""
        self.assertEqual(len(self.find("static", "dane", bad="raise ValueError()")), 2)
        self.assertNotIn("bad", " ".join(sys.modules))

    def test_unknown(self) -> None:
        """A name that nobody has is refused with those that there are, the nearest first."""
        self.assertIn(
            'there is no TLS policy provider "exampel"; did you mean example? There are example,',
            self.refusal("exampel", a=self.example()),
        )

    def test_checked_before_it_counts(self) -> None:
        """A list of names can be judged before any provider is made: ours and those of plugins are known, whether they can be made or not."""
        package = self.package(a=self.example(create="return 1 / 0"))
        self.assertEqual([unknown_provider(names, package) for names in (("dane",), ("example", "static"))], ["", ""])
        self.assertIn("did you mean example?", unknown_provider(("dane", "exampel"), package))

    def test_module_that_cannot_be_imported(self) -> None:
        """A plugin that can't be imported isn't found, and the message says where to look."""
        problem = self.refusal("broken", broken="import nothing_of_that_name")
        self.assertIn("see what twistd writes", problem)
        self.assertEqual(len(self.flushLoggedErrors(ImportError)), 1)

    def test_two_of_a_name(self) -> None:
        """Two plugins of the name wanted are refused with their places."""
        problem = self.refusal("x", a=self.example("x"), b=self.example("x"))
        self.assertRegex(problem, r"a\.Example and .*b\.Example are both called 'x'")

    def test_others_do_no_harm(self) -> None:
        """Installed plugins that nobody asked for stop nothing: nameless ones, twins, or one that calls itself as we do."""
        nameless = self.example().replace('    name = "example"\n', "")
        others = {"a": nameless, "b": self.example("y"), "c": self.example("y"), "d": self.example("dane")}
        providers = self.find("dane", "x", "static", e=self.example("x"), **others)
        self.assertIs(providers[0], self.dane)
        self.assertEqual([provider.name for provider in providers], ["dane", "x", "static"])

    def test_cannot_be_made(self) -> None:
        """A plugin that fails, makes no provider, or one of another name, stops the start in words."""
        cases: tuple[tuple[str, str], ...] = (
            ("raise ValueError('no licence')", "can't make its provider: ValueError: no licence"),
            ("return None", "is no TLS policy provider"),
            ("other = Example(); other.name = 'other'; return other", "makes a provider of another name, 'other'"),
        )
        for number, (create, wanted) in enumerate(cases):
            name = f"example{number}"
            problem = self.refusal(name, **{f"m{number}": self.example(name, create)})
            self.assertIn(wanted, problem)
