"""The JSON twin."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from seg.events.base import Event
from seg.events.delivery import DeliveryTLSStarted, PolicyExplained
from seg.events.dns import DNSAsked
from seg.events.policy import DANEMX, DANEAddress, STSRecordFound
from seg.events.queue import MessageFinished, RecipientDelayed, RecipientsPending
from seg.events.receive import UnknownCommand
from seg.mail.causes import PolicyResult
from seg.mail.errors import Temporary
from seg.maillog.jsonlines import JSONLines, event_name
from seg.maillog.lines import LINES
from seg.maillog.timestamps import TimestampCache


def parsed(event: Event, at: float = 1.25) -> dict[str, Any]:
    """An event's JSON, read back."""
    line = JSONLines(TimestampCache()).line(event, at, "info")
    assert "\n" not in line
    assert line.isascii()
    found: dict[str, Any] = json.loads(line)
    return found


class JSONTests(SynchronousTestCase):
    """Objects as documented."""

    def test_names(self) -> None:
        """Events are named by their class in snake_case, abbreviations as one word."""
        names = {
            DeliveryTLSStarted: "delivery_tls_started",
            STSRecordFound: "sts_record_found",
            DANEMX: "dane_mx",
            DANEAddress: "dane_address",
            DNSAsked: "dns_asked",
            MessageFinished: "message_finished",
        }
        self.assertEqual({kind: event_name(kind) for kind in names}, names)
        self.assertEqual(len({event_name(kind) for kind in LINES}), len(LINES))

    def test_every_event(self) -> None:
        """Every event becomes one object with time, level and event, and no field takes the place of
        those."""
        for kind, entry in LINES.items():
            record = parsed(entry.example)
            self.assertEqual((record["level"], record["event"]), ("info", event_name(kind)))

    def test_error(self) -> None:
        """An error is spread over code, enhanced status, our text and the remote lines."""
        error = Temporary("4.3.2", "refused by mx", 421, ("4.3.2 later\r\n",))
        record = parsed(RecipientDelayed(7, 0, 4, "a@b", "c@d", error))
        del record["time"]
        self.assertEqual(
            record,
            {
                "level": "info",
                "event": "recipient_delayed",
                "mid": 7,
                "rid": 0,
                "dcid": 4,
                "reverse_path": "a@b",
                "address": "c@d",
                "enhanced": "4.3.2",
                "code": 421,
                "error": "refused by mx",
                "remote": ["4.3.2 later\r\n"],
            },
        )

    def test_opinions_and_times(self) -> None:
        """Opinions are an object by provider; times have their zone and milliseconds."""
        record = parsed(PolicyExplained(7, "d", "m", (("dane", "none"), ("static", "no")), "x", PolicyResult.CLEAR))
        self.assertEqual(record["opinions"], {"dane": "none", "static": "no"})
        stamp = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$"
        self.assertRegex(record["time"], stamp)
        self.assertRegex(parsed(RecipientsPending(7, (0, 1), 99.0, "x", 1))["until"], stamp)

    def test_remote_bytes(self) -> None:
        """Lone surrogates, as undecodable octets leave them, can be written."""
        self.assertEqual(parsed(UnknownCommand(1, "\udc80\u2028"))["command"], "\udc80\u2028")
