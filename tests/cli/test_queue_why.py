"""`seg queue why`: what it advises goes by the causes, never by the wording of a failure."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from seg.cli.messages import _advice

ROWS: tuple[tuple[dict[str, Any], list[dict[str, Any]], str], ...] = (
    ({"error": "4.7.0 x", "cause": "auth-profile"}, [], "mend the AUTH profile"),
    ({"error": "4.7.5 x", "cause": "certificate-expired"}, [], "seg explain"),
    ({"error": "", "cause": None}, [{"outcome": "x", "result": "refused"}], "seg explain"),
    (
        {"error": "4.4.3 x", "cause": "dns-failed"},
        [{"outcome": "not reached: refused: x", "result": "not-reached"}],
        "nothing",
    ),
    ({"error": "4.7.0 they say: AUTH profile? TLS policy?", "cause": None}, [], "nothing, it is tried again"),
    ({"error": "4.4.1 x", "cause": "of a newer version"}, [], "seg explain"),
    ({"error": "4.4.1 from an older gateway"}, [{"outcome": "x"}], "nothing, it is tried again"),
)


class AdviceTests(SynchronousTestCase):
    """What `seg queue why` advises for a destination."""

    def test_causes(self) -> None:
        """Each cause has its advice; words in a text decide nothing."""
        for recipient, hosts, words in ROWS:
            place = {
                "domain": "a.example",
                "suspended": False,
                "state": "up",
                "recipients": [recipient],
                "hosts": hosts,
            }
            self.assertTrue(_advice(7, place).startswith(words), (recipient, _advice(7, place)))
