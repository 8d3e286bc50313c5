"""The ``[[filter]]`` tables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.filters import FilterAddress, parse_filter_address
from seg.config.load import parse_settings
from seg.config.schema import Filter, WhenAway


class FilterTests(SynchronousTestCase):
    """From text to tables, and every fault in words."""

    def test_none(self) -> None:
        """Without tables there are no filters."""
        self.assertEqual(parse_settings("").filter, ())

    def test_tables(self) -> None:
        """Tables in order, with the defaults for what they leave out; listeners may stand behind them."""
        text = """
[[filter]]
name = "rspamd"
address = "inet:127.0.0.1:11332"
when_away = "accept"
listeners = ["in"]
max_message_size = "1 MiB"
content_timeout = "10m"
[[filter]]
name = "mine"
kind = "acme"
[[listener]]
name = "in"
"""
        self.assertEqual(parse_settings(text).filter, (
            Filter(
                name="rspamd",
                address="inet:127.0.0.1:11332",
                when_away=WhenAway.ACCEPT,
                listeners=("in",),
                max_message_size=1048576,
                content_timeout=600.0,
            ),
            Filter(name="mine", kind="acme"),
        ))  # fmt: skip

    def test_faults(self) -> None:
        """Each fault is named with its table and key."""
        for text, fault in [
            ('filter = "x"', "wants an array of tables; write [[filter]] for each"),
            ("[filter]\nname = 'x'", "wants an array of tables; write [[filter]] for each"),
            ("[[filter]]\nname = 'a'", "a milter needs one: inet:host:port"),
            ("[[filter]]\naddress = 'unix:x'", "wants the whole path of a socket"),
            ("[[filter]]\naddress = 'inet:8891@localhost'", "write inet:localhost:8891"),
            ("[[filter]]\nname = ''\nkind = 'x'", "must not be empty"),
            ("[[filter]]\nkind = 'x'\n[[filter]]\nkind = 'x'", 'another filter is called "filter"'),
            ("[[filter]]\nkind = 'x'\nlisteners = ['in']", 'there is no listener "in"; there are relay'),
            ("[[filter]]\nkind = 'x'\nwhen_away = 'defer'", "isn't one of"),
            ("[[filter]]\nkind = 'x'\ncontent_timeout = 0", "content_timeout"),
            ("[[filter]]\nadress = 'x'", "address"),
        ]:
            problems = self.assertRaises(ConfigurationError, parse_settings, text).problems
            self.assertIn(fault, "\n".join(problems), text)


class AddressTests(SynchronousTestCase):
    """`parse_filter_address`."""

    def test_good(self) -> None:
        """TCP by name or address, or a Unix socket."""
        for text, wanted in [
            ("inet:127.0.0.1:11332", FilterAddress(host="127.0.0.1", port=11332)),
            ("inet:Scanner.Example:25", FilterAddress(host="scanner.example", port=25)),
            ("inet6:[::1]:11332", FilterAddress(host="::1", port=11332)),
            ("unix:/run/a b.sock", FilterAddress(path="/run/a b.sock")),
        ]:
            self.assertEqual(parse_filter_address(text), wanted)

    def test_bad(self) -> None:
        """Whatever else is refused."""
        for text in (
            "",
            "inet",
            "inet:",
            "inet:localhost",
            "inet:localhost:0",
            "inet:localhost:99999",
            "inet::25",
            "inet:a b:25",
            "inet6:::1",
            "unix:",
            "unix:run/x",
            "local:/run/x",
            "127.0.0.1:25",
        ):
            self.assertRaises(ValueError, parse_filter_address, text)
