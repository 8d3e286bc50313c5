"""Whatever stands in a file, loading it gives values or lines that name the place."""

import re
from collections.abc import Callable
from typing import Any

import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.load import parse_destinations, parse_settings

WORDS = """
gateway listener receive queue dns mta_sts log default destination route hostname port address tls key proxy
resolvers relay_networks lifetime jitter level json dane mta_sts hosts host use_dns use_mx providers mode
example.com .b.test [192.0.2.1] ALL m\u00fcnchen.test a\u0001b a\u2028b
"""
KEYS = st.sampled_from([*re.split(r"[ \n]+", WORDS.strip()), ""])
SCALARS = (
    st.booleans()
    | st.integers(-5, 70000)
    | st.floats()
    | st.sampled_from(["", "no", "required", "15m", "1 MiB", "127.0.0.1", "[::1]:25", "a:b:c", "10.0.0.0/8", "x\ny"])
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
FILES = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=4), max_size=4)


class AnyFileTests(SynchronousTestCase):
    """Files made at random from words of the schema and others."""

    def load(self, parse: Callable[[str, str], Any], content: dict[str, Any]) -> None:
        """Load a file with this content; a fault must name its line and be one line itself."""
        text = tomlkit.dumps(content)
        try:
            parse(text, "f")
        except ConfigurationError as error:
            for line in error.problems:
                self.assertRegex(line, r"^f:\d+: \S")
                self.assertEqual(len(line.splitlines()), 1)
                self.assertLessEqual(int(re.findall(r"\d+", line)[0]), text.count("\n") + 1)

    @settings(max_examples=100)
    @given(FILES)
    def test_settings(self, content: dict[str, Any]) -> None:
        """A settings file is read, or each fault is one line with its place."""
        self.load(parse_settings, content)

    @settings(max_examples=100)
    @given(FILES)
    def test_destinations(self, content: dict[str, Any]) -> None:
        """A destinations file is read, or each fault is one line with its place."""
        self.load(parse_destinations, content)
