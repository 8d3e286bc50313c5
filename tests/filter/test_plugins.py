"""Filters of third parties: found, made for each table, or refused in words."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from seg.common.errors import ConfigurationError
from seg.config.schema import Filter
from seg.filter.answers import AddField, Change, Hold
from seg.filter.chain import ConfiguredFilter
from seg.filter.interfaces import FilterContext, IMessageFilter
from seg.filter.milter.client import milter
from seg.filter.plugins import LONGEST, for_listener, load_filters
from tests.doubles import RecordingSink
from tests.filter.messages import message
from tests.plugin_packages import PluginCase, documented

EXAMPLE = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from seg.plugin import IMessageFilter, IMessageFilterFactory

@implementer(IPlugin, IMessageFilterFactory)
class Example:
    name = "NAME"
    def create(self, context):
        CREATE

@implementer(IMessageFilter)
class Judge:
    def __init__(self, context):
        self.context = context
    async def judge(self, message):
        return None

example = Example()
"""


class PluginTests(PluginCase):
    """`load_filters` over plugins in a package of their own."""

    def setUp(self) -> None:
        self.sink = RecordingSink()
        self.clock = Clock()

    def example(self, name: str = "example", create: str = "return Judge(context)") -> str:
        """A plugin's source."""
        return EXAMPLE.replace("NAME", name).replace("CREATE", create)

    def find(self, *tables: Filter, **sources: str) -> tuple[ConfiguredFilter, ...]:
        """The filters of these tables."""
        return load_filters(tables, milter, "mx.test", self.sink, self.clock, self.package(**sources))

    def refusal(self, *tables: Filter, **sources: str) -> str:
        """The only problem."""
        (problem,) = self.assertRaises(ConfigurationError, self.find, *tables, **sources).problems
        return str(problem)

    def test_documented_one(self) -> None:
        """The plugin of the documentation works as it stands there."""
        source = documented("filters.md")
        (configured,) = self.find(Filter(name="invoices", kind="acme", address="invoice"), acme=source)
        verifyObject(IMessageFilter, configured.filter)
        for header, wanted in [
            (b"Subject: your\r\n Invoice\r\n", Hold("its subject has 'invoice'")),
            (b"Subject: hello\r\n", Change(header=[AddField("X-Acme", "seen, from 192.0.2.9")])),
        ]:
            judged = Deferred.fromCoroutine(configured.filter.judge(message(header)))
            self.assertEqual(self.successResultOf(judged), wanted)

    def test_each_table(self) -> None:
        """Each table has a filter of its own, in order; a plugin keeps to content_timeout, a milter's whole conversation to ten minutes."""
        tables = (
            Filter(name="a", kind="example", content_timeout=7.0),
            Filter(name="b", address="unix:/b"),
            Filter(name="c", kind="example"),
        )
        found = self.find(*tables, e=self.example())
        self.assertEqual([(each.settings, each.limit) for each in found], [
            (tables[0], 7.0),
            (tables[1], LONGEST),
            (tables[2], 300.0),
        ])  # fmt: skip
        context = found[0].filter.context  # type: ignore[attr-defined]
        self.assertEqual(context, FilterContext(tables[0], "mx.test", self.sink, self.clock))
        self.assertIsNot(found[0].filter, found[2].filter)

    def test_listeners(self) -> None:
        """A filter judges the mail of the listeners that it names, or of all."""
        found = self.find(Filter(name="a", address="unix:/a"), Filter(name="b", address="unix:/b", listeners=("in",)))
        for listener, names in (("in", ["a", "b"]), ("out", ["a"])):
            self.assertEqual([each.settings.name for each in for_listener(found, listener)], names)

    def test_only_milters(self) -> None:
        """Where no table asks for a plugin none is even loaded."""
        self.assertEqual(len(self.find(Filter(address="unix:/a"), bad="raise ValueError()")), 1)
        self.assertEqual(self.find(), ())

    def test_refused(self) -> None:
        """What can't be used stops the start, with the table's name and what to do."""
        table = Filter(name="t", kind="example")
        for sources, text in [
            (
                {"a": self.example("exampel")},
                'there is no filter of kind "example"; did you mean exampel? There are exampel, milter',
            ),
            ({"a": self.example(), "b": self.example()}, "are both called 'example'"),
            (
                {"a": self.example(create="raise ValueError('no licence')")},
                "can't make its filter: ValueError: no licence",
            ),
            ({"a": self.example(create="return object()")}, "makes is no filter"),
        ]:
            self.assertIn(text, self.refusal(table, **sources))
        self.assertTrue(self.refusal(table).startswith('[[filter]] "t": '))

    def test_others_do_no_harm(self) -> None:
        """Plugins that nobody asked for stop nothing: nameless ones, twins, or one that calls itself milter."""
        nameless = self.example().replace('    name = "example"\n', "")
        others = {"a": nameless, "b": self.example("y"), "c": self.example("y"), "d": self.example("milter")}
        found = self.find(Filter(kind="x"), Filter(name="m", address="unix:/m"), e=self.example("x"), **others)
        self.assertEqual([type(each.filter).__name__ for each in found], ["Judge", "MilterFilter"])
