"""Keys set and removed in a TOML text."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.configuration.edits import Edit, EditError, File, apply_edits, value_at
from seg.config.find import shipped_folder
from seg.config.load import parse_destinations, parse_settings

D, S = File.DESTINATIONS, File.SETTINGS
COMMENTED = """\
# top
[default]
# TLS support
# tls = "preferred"

# DANE support
# dane = "opportunistic"

# --- Examples
# [destination."a.example"]
# tls = "no"
"""
LISTENERS = """\
[[listener]]
port = 25  # the first

# --- next
[receive]
max_recipients = 5
"""


def edited(text: str, *edits: tuple[tuple[str | int, ...], Any]) -> str:
    """The text with these (path, value)."""
    return apply_edits(text, [Edit(D, path, value) for path, value in edits])


class EditTests(SynchronousTestCase):
    """Where things go."""

    def test_behind_its_commented_default(self) -> None:
        """A key comes behind its commented default, and the rest of the file stays as it is."""
        new = edited(COMMENTED, (("default", "tls"), "required"))
        self.assertEqual(new, COMMENTED.replace('# tls = "preferred"\n', '# tls = "preferred"\ntls = "required"\n', 1))

    def test_without_a_default(self) -> None:
        """A key without a commented default comes first in its table."""
        new = edited(COMMENTED, (("default", "bounce_profile"), "x"))
        self.assertIn('[default]\nbounce_profile = "x"\n', new)

    def test_table_of_arrays(self) -> None:
        """A table within a section is set as a whole, in a file with the section or without it, and replaced; comments stay."""
        one, two = {"a@x.test": ["a@x.test", "@l.x.test"], "b": ["ALL"]}, {"b": ["@x.test"]}
        shipped = (shipped_folder() / "seg.toml").read_text("utf-8")
        for text in ("", "# top\n[auth]\nusers = 'u' # mine\n\n[receive]\nmax_recipients = 5\n", shipped):
            for value in (one, two, {}):
                text = edited(text, (("auth", "senders"), value))
                found = parse_settings(text, "f").auth.senders
                self.assertEqual({name: list(items) for name, items in found.items()}, value)
            self.assertIn("# mine" if "mine" in text else "", text)
            text = edited(text, (("auth", "senders", "c@y.test"), ["c@y.test"]))
            self.assertEqual(parse_settings(text, "f").auth.senders, {"c@y.test": ("c@y.test",)})
            self.assertEqual(parse_settings(edited(text, (("auth", "senders"), None)), "f").auth.senders, {})

    def test_default_in_an_array(self) -> None:
        """A new key of a listener comes behind its commented default there, else behind its other keys."""
        text = '[[listener]]\n# port = 2525\n\n# banner = ""\n\n[[listener]]\nname = "b"\n\n# next\n[receive]\n'
        new = edited(text, (("listener", "relay", "port"), 26), (("listener", "b", "port"), 27))
        self.assertEqual(
            new, text.replace("# port = 2525\n", "# port = 2525\nport = 26\n").replace('"b"\n', '"b"\nport = 27\n')
        )

    def test_new_table(self) -> None:
        """A table comes at the end of the file, a second one behind the first."""
        new = edited(COMMENTED, (("destination", "a.example"), {"tls": "no"}), (("route", "ALL", "use_dns"), True))
        self.assertEqual(new, COMMENTED + '\n[destination."a.example"]\ntls = "no"\n\n[route.ALL]\nuse_dns = true\n')

    def test_existing_value(self) -> None:
        """A value is replaced where it stands, with the comment behind it."""
        new = edited(LISTENERS, (("listener", "relay", "port"), 26))
        self.assertEqual(new, LISTENERS.replace("25", "26"))

    def test_new_entry_of_an_array(self) -> None:
        """A listener comes behind the last one, before the comment of the next section."""
        new = edited(LISTENERS, (("listener", "smtps"), {"port": 465}))
        self.assertEqual(new, LISTENERS.replace("# --- next", '[[listener]]\nname = "smtps"\nport = 465\n\n# --- next'))

    def test_first_entry_of_an_array(self) -> None:
        """The first sender group comes at the end of the file."""
        new = edited(LISTENERS, (("sender_group", "X"), {"match": ["ALL"]}))
        self.assertEqual(new, LISTENERS + '\n[[sender_group]]\nname = "X"\nmatch = ["ALL"]\n')

    def test_table_in_the_place_of_another(self) -> None:
        """A table changes key by key: its comments stay, and the keys that it hasn't any more go."""
        text = '[destination."a.example"]\n# why\ntls = "no"  # really\ndane = "none"\n'
        new = edited(text, (("destination", "a.example"), {"tls": "required"}))
        self.assertEqual(new, '[destination."a.example"]\n# why\ntls = "required"  # really\n')

    def test_removed_table(self) -> None:
        """A table goes with its keys and subtables; the comment on top of the next section stays."""
        text = edited(LISTENERS, (("listener", "smtps"), {"port": 465}))
        self.assertEqual(edited(text, (("listener", "smtps"), None)), LISTENERS)
        text = '[destination."a.b"]\ntls = "no"\n\n[destination."a.b".exemption]\nreason = "x"\n\n# c\n[default]\n'
        self.assertEqual(edited(text, (("destination", "a.b"), None)), "# c\n[default]\n")

    def test_removed_key(self) -> None:
        """A key goes, and its table stays."""
        self.assertEqual(edited("[a]\nb = 1\nc = 2\n", (("a", "b"), None)), "[a]\nc = 2\n")

    def test_dates(self) -> None:
        """A date is a date of TOML."""
        new = edited("", (("destination", "a.example", "exemption"), {"until": date(2026, 12, 31), "reason": "r"}))
        self.assertEqual(
            tomllib.loads(new),
            {"destination": {"a.example": {"exemption": {"until": date(2026, 12, 31), "reason": "r"}}}},
        )

    def test_refused(self) -> None:
        """What can't be made is said with its key, and nothing is made."""
        table = [
            ("[a]\nb = 1\n", (("a", "x"), None), "a.x isn't there"),
            ("[a]\nb = 1\n", (("c", "x"), None), "c.x isn't there"),
            ("[a]\nb = 1\n", (("a", "b", "c"), 1), "a.b.c: b is a value and holds no keys"),
            (LISTENERS, (("listener", "none", "port"), 1), "listener.none.port: there is no none"),
            (LISTENERS, (("listener",), [1]), "listener: set its entries one by one"),
            ("[a\n", (("a", "b"), 1), "the file isn't valid TOML"),
            ("", ((), 1), "an edit names no key"),
            ("", (("a", "b"), object()), "a.b: object is no value of a configuration"),
        ]
        for text, edit, problem in table:
            error = self.assertRaises(EditError, edited, text, edit)
            self.assertIn(problem, str(error))

    def test_shipped_files(self) -> None:
        """The files shipped take every kind of edit and stay configurations without a fault."""
        folder = shipped_folder()
        new = apply_edits(
            (folder / "destinations.toml").read_text(),
            [
                Edit(D, ("default", "mta_sts"), "off"),
                Edit(D, ("destination", "a.example"), {"tls": "required"}),
                Edit(D, ("destination", ".b.example", "dane"), "mandatory"),
                Edit(D, ("route", "c.example"), {"hosts": ["[192.0.2.1]:25", "r.example"]}),
            ],
        )
        found = parse_destinations(new)
        self.assertEqual(sorted(found.profiles), [".b.example", "a.example"])
        self.assertEqual(found.profile("x").mta_sts.value, "off")
        new = apply_edits(
            (folder / "seg.toml").read_text(),
            [
                Edit(S, ("sender_group", "X"), {"match": ["ALL"], "access": "accept"}),
                Edit(S, ("listener", "two"), {"port": 2526}),
                Edit(S, ("listener", "relay", "port"), 2527),
            ],
        )
        settings = parse_settings(new)
        self.assertEqual([(each.name, each.port) for each in settings.listener], [("relay", 2527), ("two", 2526)])


names = st.text("abcXYZ09.-_", min_size=1, max_size=8)
values = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.booleans(), st.text(max_size=20), st.lists(st.text(max_size=8), max_size=5)
)
edits = st.lists(
    st.tuples(st.sampled_from(["destination", "route", "default"]), names, names, st.one_of(st.none(), values)),
    max_size=8,
)


class EditProperties(SynchronousTestCase):
    """Whatever is edited, the text says what the same steps make of the data."""

    @given(edits)
    def test_same_as_data(self, steps: list[tuple[str, str, str, Any]]) -> None:
        """The text is what a dict would be, comments are all there, and what can't be removed is refused."""
        text, data = COMMENTED, tomllib.loads(COMMENTED)
        for table, name, key, value in steps:
            path = (table, key) if table == "default" else (table, name, key)
            try:
                text = edited(text, (path, value))
            except EditError:
                self.assertIsNone(value)
                self.assertIsNone(value_at(data, path))
                continue
            inner = data
            for part in path[:-1]:
                inner = inner.setdefault(part, {})
            if value is None:
                del inner[key]
            else:
                inner[key] = value
            self.assertEqual(tomllib.loads(text), data)
        self.assertEqual([line for line in text.splitlines() if line.startswith("#")], COMMENTED_LINES)


COMMENTED_LINES = [line for line in COMMENTED.splitlines() if line.startswith("#")]
