"""What plugins of all kinds have in common; what each kind says of them stands with its own tests."""

from __future__ import annotations

from zope.interface import Attribute, Interface, implementer

from seg.common.plugins import CannotMake, NotUnique, UnfitProduct, made_by, place_of, plugins_of
from tests.plugin_packages import PluginCase


class IMakes(Interface):
    """What the plugins of these tests provide."""

    name = Attribute("its name")


class IMade(Interface):
    """What they make."""

    def work() -> None:
        """Do something."""


SOURCE = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from tests.test_plugins import IMakes

@implementer(IPlugin, IMakes)
class Plugin:
    def __init__(self, name):
        self.name = name

@implementer(IPlugin)
class Stranger:
    name = "stranger"

@implementer(IMakes)
class NoPlugin:
    name = "no plugin"

"""


@implementer(IMakes)
class Maker:
    """Makes what it was given, or fails."""

    name = "maker"

    def __init__(self, made: object) -> None:
        self.made = made

    def create(self, context: object) -> object:
        """What it makes."""
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


@implementer(IMade)
class Fit:
    """What a plugin should make."""

    def work(self) -> None:
        """Nothing."""


@implementer(IMade)
class Unfit:
    """Says so, and can't."""


class FindTests(PluginCase):
    """`plugins_of`."""

    def find(self, made: str, *wanted: str) -> list[str]:
        """The names found."""
        return sorted(plugins_of(IMakes, wanted, self.package(one=SOURCE + made)))

    def test_by_name(self) -> None:
        """Only what provides both interfaces, and has a name that is one."""
        made = 'a, b, c, d, e, f = Plugin("a"), Plugin("b"), Plugin(""), Plugin(7), Stranger(), NoPlugin()'
        self.assertEqual(self.find(made), ["a", "b"])

    def test_two_of_a_name(self) -> None:
        """One too many when it is wanted, no concern of anybody's when it isn't."""
        self.assertEqual(self.find('a, b = Plugin("a"), Plugin("a")', "b"), ["a"])
        error = self.assertRaises(NotUnique, self.find, 'a, b = Plugin("a"), Plugin("a")', "a")
        self.assertRegex(str(error), r"the plugins plugins_\d+\.one\.Plugin and .* are both called 'a'")


class MakeTests(PluginCase):
    """`made_by`."""

    def test_fit(self) -> None:
        """What provides the interface is taken."""
        fit = Fit()
        self.assertIs(made_by(Maker(fit), None, IMade), fit)

    def test_unfit(self) -> None:
        """What doesn't, or lacks a method, is told."""
        for unfit in (None, Unfit()):
            self.assertRaises(UnfitProduct, made_by, Maker(unfit), None, IMade)

    def test_failed(self) -> None:
        """What went wrong is kept."""
        error = self.assertRaises(CannotMake, made_by, Maker(OSError("disk")), None, IMade)
        self.assertEqual((str(error), str(error.error)), ("OSError: disk", "disk"))

    def test_place(self) -> None:
        """A plugin is called by where its class stands."""
        self.assertEqual(place_of(Maker(None)), "tests.test_plugins.Maker")
