"""Passwords in a configuration file, however they are spelled, are shown nowhere."""

from __future__ import annotations

import difflib
import json
import time
import tomllib
from typing import Any, get_args, get_origin

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.destinations import AuthProfile, Profile
from seg.config.load import parse_destinations, parse_settings
from seg.config.secrets import CHANGED, MARK, NOT_SHOWN, masked, masked_pair, secrets_in
from seg.config.settings_file import section_types
from seg.config.source import line_index, parse_document, statements
from seg.config.values import specs
from seg.config.words import known_words, secret_words

NAMES = sorted(secret_words())
PATHS = {"proxy": ("mta_sts",), "password": ("auth_profile", "hop")}  # where each stands
KEYS = st.sampled_from(NAMES)
# What a secret may hold, around a middle by which it is known again.
EDGES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\r\0"), max_size=8)
MIDDLE = "hunter22"


def escaped(text: str) -> str:
    """A basic string in which every character is an escape."""
    return '"' + "".join(f"\\U{ord(c):08x}" for c in text) + '"'


def strings(value: str) -> list[str]:
    """The value as TOML may write it."""
    found = [json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f"), escaped(value)]
    if value.isprintable():
        found += [f"'{value}'"] if "'" not in value else []
        found += [f"'''\n{value}'''"] if "'" not in value else []
        found += ['"""\n' + value + '"""', '"""\\\n   ' + value + '\\\n  """'] if not set(value) & {'"', "\\"} else []
    for text in list(found):
        try:
            assert tomllib.loads(f"x = {text}")
        except tomllib.TOMLDecodeError:
            found.remove(text)
    return found


def keys(name: str) -> list[str]:
    """The key as TOML may write it."""
    return [name, f'"{name}"', f"'{name}'", f'"{name[0]}\\u{ord(name[1]):04x}{name[2:]}"', escaped(name)]


def documents(name: str, key: str, value: str, comment: str) -> list[str]:
    """Files with the secret in every shape of table."""
    path = PATHS[name]
    table = ".".join(path)
    quoted = ".".join(f'"{part}"' for part in path)
    behind = "  # was: " + comment
    return [
        f"[{table}]\n{key} = {value}{behind}\n",
        f"[{quoted}]\n  {key}={value}\n",
        f"{table}.{key} = {value}{behind}\n",
        f"[{path[0]}]\n{'.'.join((*path[1:], key))} = {value}{behind}\n",
        f"{path[0]} = {{ {'.'.join((*path[1:], key))} = {value} }}\n",
        f'[{table}]\nother = ["]", # [\n"#"]\n{key} = {value}\nlast = 1\n',
        f"[{table}]\n{key} = [{value}, {{ x = {value} }}]\n",
        f"[{table}]\n{key} = {{ x = {value} }}\n",
        f"[{table}.{key}]\nx = {value}\n",
        f"[[{table}]]\n{key} = {value}\n[[{table}]]\n{key} = {value}\n",
        f"[{table}]\n# {name} = {comment}\nx = 1 # {comment}\n{key} = {value}\n",
        f"[{table}]\r\n{key} = {value}\r\nx = 1\r\n",
        f"[{table}]\n{key[:-1]}s{key[-1]} = {value}\n" if key[-1] in "\"'" else f"[{table}]\n{key}s = {value}\n",
    ]


@st.composite
def files(draw: Any) -> tuple[str, str]:
    """A file and the secret in it."""
    name = draw(KEYS)
    secret = draw(EDGES) + MIDDLE + draw(EDGES)
    value = draw(st.sampled_from(strings(secret)))
    comment = secret if secret.isprintable() else "an older one"
    text = draw(st.sampled_from(documents(name, draw(st.sampled_from(keys(name))), value, comment)))
    return text, secret


def tells(shown: str) -> bool:
    """Whether a text tells the secret, in clear or in escapes."""
    return MIDDLE in shown or escaped(MIDDLE)[1:-1] in shown


class MaskTests(SynchronousTestCase):
    """`masked` and `masked_pair`."""

    @settings(max_examples=400, deadline=None)
    @given(files())
    def test_any_spelling(self, found: tuple[str, str]) -> None:
        """No spelling of a secret is shown, by itself or in a comparison with another file; the rest stays as it is."""
        text, _ = found
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            self.assertEqual(masked(text), NOT_SHOWN)
            return
        self.assertFalse(tells(masked(text)), text)
        for other in ("", "[receive]\nmax_recipients = 5\n", text.replace("last = 1", "last = 2")):
            self.assertFalse(tells("".join(masked_pair(text, other))), text)
            self.assertFalse(tells("".join(masked_pair(other, text))), text)

    def test_files_that_are_no_toml(self) -> None:
        """What a fault of the grammar says repeats nothing of a file but the words of configurations."""
        for text in (
            "[auth_profile.hop]\npassword = hunter22\n",
            "[auth_profile.hop]\nusername = me password = hunter22\n",
            "[mta_sts]\nproxy = http://u:hunter22@h:1\n",
            "[mta_sts]\nproxy: hunter22\n",
            '[auth_profile.hop]\npassword = """\\\n  hunter22 \\ 0\n"""\n',
            '[auth_profile.hop]\npassword = """\\\n  [hunter22 """"" \\\n"""\n',
            "[auth_profile.hop]\npassword = '\n[hunter22\n",
            "[hunter22]\n[hunter22]\n",
            "x = {hunter22 = 1, hunter22 = 2}\n",
            "hunter22 = 1\nhunter22 = 2\n",
            "[a.hunter22]\nb = 1\n[a]\nhunter22.b = 1\n",
        ):
            with self.subTest(text), self.assertRaises(ConfigurationError) as caught:
                parse_document(text, "f")
            self.assertFalse(tells(str(caught.exception.problems)), caught.exception.problems)

    def test_words(self) -> None:
        """What is secret is known by the schema, and every key that it documents may be repeated by its name."""
        kinds = [get_args(kind)[0] if get_origin(kind) is tuple else kind for kind in section_types().values()]
        keys = [spec for kind in (*kinds, Profile, AuthProfile) for spec in specs(kind).values()]
        self.assertEqual(secret_words(), {spec.name for spec in keys if spec.secret})
        self.assertEqual(secret_words(), set(PATHS))
        self.assertLessEqual({spec.name for spec in keys}, known_words())

    @settings(max_examples=200, deadline=None)
    @given(files(), st.integers(0, 200), st.text(max_size=3))
    def test_faulty_files(self, found: tuple[str, str], place: int, put: str) -> None:
        """A file that is damaged anywhere is shown without its secret or not at all, and no message of its faults tells it."""
        text = found[0][:place] + put + found[0][place:]
        for damaged in (text, found[0][:place]):
            shown = masked(damaged)
            self.assertTrue(shown == NOT_SHOWN or not tells(shown), damaged)
            for parse in (parse_settings, parse_destinations):
                try:
                    self.assertFalse(tells(repr(parse(damaged, "f"))))
                except ConfigurationError as error:
                    self.assertFalse(tells(repr(error) + str(error.problems)), damaged)

    def test_one_change(self) -> None:
        """A secret that is changed is one line of the comparison, with a mark that says so; one that isn't is none."""
        old = '[mta_sts]\nproxy = "http://u:one@h:1"\nfetch_timeout = 5\n'
        before, after = masked_pair(old, old.replace("one", "two"))
        lines = [
            line for line in difflib.unified_diff(before.split("\n"), after.split("\n"), n=0) if line[1:2] not in "+-@ "
        ]
        self.assertEqual(lines, [f'-proxy = "{MARK}"', f'+proxy = "{CHANGED}"'])
        self.assertEqual(*masked_pair(old, old.replace('"', "'")))

    def test_names_of_an_operators_choice(self) -> None:
        """A profile that is called as a secret key is none; what isn't secret, comments among it, stays as it is."""
        text = '# kept = "x"\n[auth_profile.proxy]\nusername = "us"  # why\n\n[destination.password]\ntls = "no"\n'
        self.assertEqual(masked(text), text)
        self.assertEqual(secrets_in('[mta_sts]\nproxy = ""\n'), {})

    def test_url(self) -> None:
        """A password in any other URL is none to be shown either."""
        self.assertEqual(masked('[[filter]]\naddress = "x://u:hunter@h"\n'), f'[[filter]]\naddress = "{MARK}"\n')

    def test_large_file(self) -> None:
        """A large file takes time in proportion to its size."""
        entry = '[route."d{}.example"]\nhosts = ["a", # ]\n"b"]\n'
        times = []
        for count in (1000, 4000):
            text = "".join(entry.format(n) for n in range(count)) + '[auth_profile.a]\npassword = "hunter22"\n'
            begun = time.process_time()
            self.assertFalse(tells(masked(text)))
            times.append(time.process_time() - begun)
        self.assertLess(times[1], 12 * times[0])


class StatementTests(SynchronousTestCase):
    """`statements`, which says where each begins and ends."""

    def test_long_value(self) -> None:
        """A value of many lines is found in one pass: a nested array of 20,000 lines takes no second."""
        text = "x = [\n" + '["a", "b"], # ]\n' * 20_000 + "]\ny = 1\n"
        begun = time.process_time()
        found = [(each.line, each.text[:3]) for each in statements(text)]
        self.assertLess(time.process_time() - begun, 1.0)
        self.assertEqual(found, [(1, "x ="), (20_003, "y =")])

    def test_nested_arrays_of_tables(self) -> None:
        """A table within an element of an array is found in that element."""
        text = "[[a]]\nx = 1\n[a.b]\ny = 1\n[[a]]\n[[a.c]]\nz = 1\n"
        index = line_index(text)
        self.assertEqual((index["a", 0, "b", "y"], index["a", 1, "c", 0, "z"]), (4, 7))
