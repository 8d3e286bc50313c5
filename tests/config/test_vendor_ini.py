"""Destination controls as INI."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.config.load import parse_destinations
from seg.config.vendor_ini import INIError, format_ini, parse_ini

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

    @given(
        st.dictionaries(
            st.sampled_from(["a.example", ".b.example", "xn--bcher-kva.example"]),
            st.fixed_dictionaries(
                {},
                optional={
                    "tls": st.sampled_from(["preferred", "required", "preferred-verify", "required-verify-hosted"]),
                    "concurrent_connections": st.integers(1, 1000),
                    "messages_per_connection": st.integers(1, 1000),
                    "dane": st.sampled_from(["none", "opportunistic", "mandatory", "monitor"]),
                    "mta_sts": st.sampled_from(["off", "on", "monitor"]),
                    "ip_preference": st.sampled_from(["ipv6-preferred", "ipv4-required"]),
                },
            ),
        )
    )
    def test_there_and_back(self, entries: dict[str, dict[str, object]]) -> None:
        """What is written is read as it was."""
        text = "".join(
            f'[destination."{domain}"]\n' + "".join(f"{k} = {v!r}\n".replace("'", '"') for k, v in values.items())
            for domain, values in entries.items()
        )
        again = parse_ini(format_ini(parse_destinations(text)))
        self.assertEqual(again.notes, ())
        for domain, values in entries.items():
            self.assertEqual({**values, **again.entries[domain]}, {**again.entries[domain], **values})
            self.assertLessEqual(set(values), set(again.entries[domain]))
