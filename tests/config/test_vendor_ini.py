"""Destination controls as INI."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import Destinations, Profile
from seg.config.load import parse_destinations
from seg.config.values import specs, word
from seg.config.vendor_ini import Annotation, INIError, parse_ini
from seg.config.vendor_ini_format import extended, format_ini, left_out

SAMPLE = """\
[DEFAULT]
ip_sort_pref = PREFER_V6
max_host_concurrency = 500
max_messages_per_connection = 50
limit_apply = system
table_tls = off
bounce_validation = 0
send_tls_req_alert = 0

; a comment
[Example1.com]
TABLE_TLS = Require_Verify
limit_apply = VG
limit_type = MXIP
[.example.org]
table_tls = 5
mta_sts_support = on
"""


class INITests(SynchronousTestCase):
    """Reading and writing."""

    def test_read(self) -> None:
        """Sections are domains, keys go without case, and what has no use here is told."""
        tables = parse_ini(SAMPLE, "c.ini")
        self.assertEqual(
            tables.default,
            {
                "ip_preference": "ipv6-preferred",
                "concurrent_connections": 500,
                "messages_per_connection": 50,
                "tls": "no",
                "tls_alert": False,
            },
        )
        self.assertEqual(
            tables.entries,
            {
                "example1.com": {"tls": "required-verify", "limit_per": "address"},
                ".example.org": {"tls": "required-verify-hosted", "mta_sts": "on"},
            },
        )
        self.assertEqual(
            tables.notes, ("c.ini:13: [Example1.com] limit_apply: there is no such setting here; it is passed over",)
        )

    def test_each_tls_value(self) -> None:
        """Numbers and words of the TLS table."""
        table = {
            "0": "no",
            "OFF": "no",
            "1": "preferred",
            "on": "preferred",
            "2": "required",
            "required": "required",
            "3": "preferred-verify",
            "on_verify": "preferred-verify",
            "4": "required-verify",
            "5": "required-verify-hosted",
        }
        for text, label in table.items():
            self.assertEqual(parse_ini(f"[a.example]\ntable_tls={text}\n").entries["a.example"]["tls"], label)

    def test_faults(self) -> None:
        """Each fault has file, line, section and key, and the nearest right name; all are told at once."""
        text = "[a.example]\ntable_tsl = 1\nmax_host_concurrency = 0\n[not a domain]\n[b.example]\nip_sort_pref=PREFER_V7\n"
        error = self.assertRaises(INIError, parse_ini, text, "c.ini")
        self.assertEqual(
            error.problems,
            (
                "c.ini:2: [a.example] table_tsl: unknown key; did you mean table_tls?",
                "c.ini:3: [a.example] max_host_concurrency: 0 is out of range; it must be from 1 to 1000",
                'c.ini:4: [not a domain] "not a domain" is not a host name',
                "c.ini:6: [b.example] ip_sort_pref: wants one of prefer_v6, require_v6, prefer_v4, require_v4, not 'PREFER_V7'"
                "; did you mean prefer_v6?",
            ),
        )
        for text in (
            "no section\n",
            "[a.example]\nx\n",
            "[a.example]\n[a.example]\n",
            "[a.example]\ntable_tls=1\ntable_tls=2\n",
        ):
            self.assertRaises(INIError, parse_ini, text)

    def test_twice(self) -> None:
        """Two sections that are one destination are a fault, not one that hides the other."""
        text = "[A.example]\ntable_tls=1\n[a.example]\ntable_tls=2\n[DEFAULT]\n[default]\n[xn--bcher-kva.example]\n[b\u00fccher.example]\n"
        error = self.assertRaises(INIError, parse_ini, text, "c.ini")
        self.assertEqual(
            error.problems,
            (
                "c.ini:3: [a.example] is there twice: both are a.example",
                "c.ini:6: [default] is there twice: both are DEFAULT",
                "c.ini:8: [b\u00fccher.example] is there twice: both are xn--bcher-kva.example",
            ),
        )


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12).filter(str.isprintable)
PROFILES = ("slow", " spaced ", '"quoted"', "; x = #y", "b\u00fccher: [x]")  # bounce profiles that there are
VALUES: dict[str, st.SearchStrategy[object]] = {
    "tls": st.sampled_from(
        ["no", "preferred", "required", "preferred-verify", "required-verify", "required-verify-hosted"]
    ),
    "dane": st.sampled_from(["none", "opportunistic", "mandatory", "monitor"]),
    "mta_sts": st.sampled_from(["off", "on", "monitor"]),
    "dane_opportunistic_failure": st.sampled_from(["defer", "fall-through"]),
    "ip_preference": st.sampled_from(["ipv6-preferred", "ipv6-required", "ipv4-preferred", "ipv4-required"]),
    "concurrent_connections": st.integers(1, 1000),
    "messages_per_connection": st.integers(1, 1000),
    "recipient_limit": st.sampled_from([0, 1, 300, 1_000_000_000]),
    "recipient_minutes": st.integers(1, 60),
    "limit_per": st.sampled_from(["domain", "address"]),
    "source_address": st.sampled_from(["", "192.0.2.7"]),
    "source_address6": st.sampled_from(["", "2001:db8::7"]),
    "ehlo_name": st.sampled_from(["", "out.gateway.example"]),
    "bounce_profile": st.sampled_from(["", *PROFILES]),
    "tls_alert": st.booleans(),
    "certificate": st.sampled_from(["client.pem", " ; odd = name.pem "]),
    "key": st.sampled_from(["", "/etc/seg/client.key"]),
}
EXEMPTIONS = st.fixed_dictionaries(
    {
        "until": st.one_of(
            st.dates(date(2001, 1, 1), date(2100, 1, 1)),
            st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
        ),
        "reason": TEXTS.filter(lambda text: bool(text.strip())),
    }
)
NAMES = ("a.example", ".b.example", "xn--bcher-kva.example", "[192.0.2.1]", "[ipv6:2001:db8::1]", "default.example", ".default")  # fmt: skip


def toml(value: object) -> str:
    """A value as the file has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + " }"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def made(default: dict[str, Any], entries: dict[str, dict[str, Any]]) -> Destinations:
    """What the gateway would have; what tls = "no" forbids is taken out, as no file can have it."""
    tables = {"[default]": default, **{f"[destination.{json.dumps(name)}]": values for name, values in entries.items()}}
    text = "".join(
        f"{title}\n" + "".join(f"{name} = {toml(value)}\n" for name, value in values.items())
        for title, values in tables.items()
    )
    text += "".join(f"[bounce_profile.{json.dumps(name, ensure_ascii=False)}]\n" for name in PROFILES)
    return parse_destinations(text)


def possible(values: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """Values without those that don't go together."""
    if (values.get("tls") or default.get("tls")) == "no":
        values = {name: value for name, value in values.items() if name not in ("dane", "mta_sts")}
    if "certificate" not in values:
        values.pop("key", None)
    return values


class RoundTripTests(SynchronousTestCase):
    """What is exported is imported as it was."""

    def test_every_key(self) -> None:
        """No key of a profile is without a strategy here."""
        self.assertEqual(set(VALUES), set(specs(Profile)))

    @given(
        st.fixed_dictionaries({}, optional=VALUES),
        st.dictionaries(
            st.sampled_from(NAMES), st.fixed_dictionaries({}, optional={**VALUES, "exemption": EXEMPTIONS})
        ),
    )
    def test_there_and_back(self, default: dict[str, Any], entries: dict[str, dict[str, Any]]) -> None:
        """Every key, every kind of name: the same values hold, and an entry sets and inherits the same keys."""
        default = possible(default, {})
        there = made(default, {name: possible(values, default) for name, values in entries.items()})
        again = parse_ini(format_ini(there))
        self.assertEqual(again.notes, ())
        back = made(again.default, again.entries)
        self.assertEqual((back.default, dict(back.profiles)), (there.default, dict(there.profiles)))
        for name in there.profiles:
            self.assertEqual(back.stated[name], there.stated[name])

    def test_each_alone(self) -> None:
        """Each key by itself, with its built-in value too, is still the entry's own; a Default without TLS hands on what it did."""
        for name, spec in specs(Profile).items():
            if name == "key":
                continue
            value = word(spec.default) if spec.choices else spec.default
            there = made({}, {"a.example": {name: value}})
            self.assertEqual(parse_ini(format_ini(there)).entries, {"a.example": {name: value}})
        there = made({"tls": "no"}, {"a.example": {"tls": "required"}})
        again = parse_ini(format_ini(there))
        self.assertEqual(made(again.default, again.entries).profiles, there.profiles)

    def test_what_only_we_have(self) -> None:
        """What the form has no word for is said in the file, and by name."""
        entries = {
            "a.example": {"ehlo_name": "x.example", "tls_alert": True},
            "b.example": {"tls": "required", "concurrent_connections": 3},
        }
        there = made({"bounce_profile": "slow"}, entries)
        self.assertEqual(extended(there), ("DEFAULT", "a.example"))
        self.assertIn("Bounce profiles are named here, but not defined; destinations.toml has slow", left_out(there)[0])
        text = format_ini(there)
        self.assertTrue(text.startswith("; Bounce profiles"))
        self.assertIn(
            "[a.example]\n; What follows is of seg alone; other gateways don't know it here:\n"
            "send_tls_req_alert = 1\nehlo_name = x.example\n",
            text,
        )
        self.assertIn(
            "[b.example]\nmax_host_concurrency = 3\n; limit_type is inherited from DEFAULT\nlimit_type = host\n"
            "table_tls = required\nlimit_apply = system\n",
            text,
        )

    def test_annotation(self) -> None:
        """The comment that gives limit_type back to DEFAULT counts however an editor has spaced it, and no other comment does."""
        for line, counts in (
            ("; limit_type is inherited from DEFAULT", True),
            (" ;limit_type is inherited from DEFAULT  ", True),
            ("; limit_type is inherited from DEFAULT, they say", False),
            ("# limit_type is inherited from DEFAULT", False),
        ):
            found = Annotation.of(line)
            self.assertIs(found, Annotation.INHERITED if counts else None, line)

    def test_half_an_exemption(self) -> None:
        """An exemption without reason is a fault, as everywhere, and so is a day that isn't there."""
        for line in ("exemption_until = 2026-12-31", "exemption_reason = x", "exemption_until = 2026-02-31"):
            error = self.assertRaises(INIError, parse_ini, f"[a.example]\n{line}\n", "c.ini")
            self.assertRegex(error.problems[0], "an end and a reason|wants a date such as")
