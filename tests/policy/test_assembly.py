"""What finds out how a destination is to be reached, put together, and put together anew."""

from __future__ import annotations

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.load import parse_settings
from seg.config.schema import Settings
from seg.events.runtime import Runtime
from seg.policy.assembly import PolicyServices, build_lookups
from seg.tls.roots import RootStore
from tests.doubles import RecordingSink

ROOTS = RootStore()


class LookupsTests(SynchronousTestCase):
    """`build_lookups`."""

    def build(self, text: str, former: PolicyServices | None = None) -> PolicyServices:
        """By these settings."""
        settings: Settings = parse_settings(text)
        gateway = attrs.evolve(settings.gateway, var=self.mktemp())
        runtime = Runtime(Clock(), RecordingSink(), "mx.test", in_thread=lambda work: None)  # type: ignore[arg-type, return-value]
        return build_lookups(runtime, attrs.evolve(settings, gateway=gateway), ROOTS, former)

    def test_order(self) -> None:
        """The providers stand in the operator's order."""
        built = self.build('[delivery]\nproviders = ["static", "dane"]\n')
        self.assertEqual([provider.name for provider in built.providers], ["static", "dane"])

    def test_no_such_provider(self) -> None:
        """One that isn't there is no configuration."""
        settings = attrs.evolve(Settings(), delivery=attrs.evolve(Settings().delivery, providers=("dnae",)))
        runtime = Runtime(Clock(), RecordingSink(), "mx.test", in_thread=lambda work: None)  # type: ignore[arg-type, return-value]
        self.assertRaises(ConfigurationError, build_lookups, runtime, settings, ROOTS)

    def test_what_goes_on(self) -> None:
        """Another configuration knows the policies, the domains with DANE, and what was counted and failed, of the one before."""
        former = self.build("")
        built = self.build('[dns]\nresolvers = ["192.0.2.53"]\n', former)
        self.assertIs(built.policies.cache, former.policies.cache)
        self.assertIs(built.policies.troubles, former.policies.troubles)
        self.assertIs(built.seen, former.seen)
        self.assertIs(built.resolver.counters, former.resolver.counters)
        self.assertIsNot(built.resolver, former.resolver)

    def test_another_proxy(self) -> None:
        """What is known of a proxy isn't held against another one."""
        former = self.build("")
        changed: list[None] = []
        former.policies.troubles.proxy_changed = lambda: changed.append(None)  # type: ignore[method-assign]
        self.build("", former)
        self.assertEqual(changed, [])
        self.build('[mta_sts]\nproxy = "http://192.0.2.1:3128"\n', former)
        self.assertEqual(changed, [None])

    def test_trust(self) -> None:
        """Policy hosts are judged by the roots in force, at the time that it is."""
        trust = self.build("").policies._fetcher._trust()  # type: ignore[attr-defined]
        self.assertIs(trust.roots, ROOTS)
