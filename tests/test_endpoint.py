"""Where somebody listens, as people read it, wherever it is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectError
from twisted.trial.unittest import SynchronousTestCase

import seg
from seg.admin.destination_statistics import DestinationStatistics
from seg.check import advice
from seg.cli.check_explain import _tried
from seg.cli.check_text import _connection
from seg.cli.smtproutes import route_of, shown_hosts
from seg.common.endpoint import endpoint, endpoint_in_words, host_endpoint
from seg.config.routes_file import next_hop
from seg.events.delivery import DeliveryConnectFailed
from seg.mail.hosts import MXHost, SocketPath
from tests.deliver.test_session import SessionCase
from tests.doubles import tell

SOCKET = "/run/dovecot/lmtp"


class FormTests(SynchronousTestCase):
    """The forms."""

    def test_forms(self) -> None:
        """A unix socket has no port; an IPv6 address stands in brackets."""
        for host, port, text, words, of_host in (
            ("mx.example", 25, "mx.example:25", "mx.example port 25", "h [mx.example]:25"),
            (ip_address("192.0.2.1"), 2525, "192.0.2.1:2525", "192.0.2.1 port 2525", "h [192.0.2.1]:2525"),
            (ip_address("2001:db8::1"), 25, "[2001:db8::1]:25", "2001:db8::1 port 25", "h [2001:db8::1]:25"),
            (SocketPath(SOCKET), 0, f"unix:{SOCKET}", f"unix:{SOCKET}", f"unix:{SOCKET}"),
            (f"unix:{SOCKET}", 0, f"unix:{SOCKET}", f"unix:{SOCKET}", f"unix:{SOCKET}"),
        ):
            self.assertEqual(endpoint(host, port), text)
            self.assertEqual(endpoint_in_words(host, port), words)
            self.assertEqual(host_endpoint("h", host, port), of_host)
        self.assertEqual(endpoint("2001:db8::1", None), "[2001:db8::1]")

    def test_nobody_else(self) -> None:
        """Nobody else puts an address and a port together for people."""
        for path in Path(seg.__file__).parent.rglob("*.py"):
            if (
                path.name not in ("endpoint.py", "openapi.py") and "lab" not in path.parts
            ):  # that one has a template of URLs
                source = path.read_text(encoding="utf-8")
                self.assertNotRegex(source, r"(address|host|interface)\w*['\"]?\]?\}\]?:\{\w*(\.|\[')?port", path)


class ToldTests(SessionCase):
    """What is told of a unix socket that nobody listens at."""

    def test_no_answer(self) -> None:
        """The text of the queue, of reports and of the log names the socket."""
        self.connector.failure = ConnectError(2)
        path = SocketPath(SOCKET)
        opened = self.open(MXHost(path, 0, (path,), 0))
        error = self.failureResultOf(opened).value
        self.assertIn(f"No answer from host unix:{SOCKET}: [Errno 2] No such file or directory", str(error))
        self.assertNotIn(":0", str(error))

    def test_status_of_host(self) -> None:
        """So does what is kept of the destination."""
        kept = DestinationStatistics(lambda: 0.0)
        tell(kept, DeliveryConnectFailed("a.example", SOCKET, SOCKET, 0, "refused", "network error"))
        record = kept.host("a.example")
        assert record is not None
        self.assertEqual(record.last_failure, f"unix:{SOCKET}: refused")

    def test_checks(self) -> None:
        """And the checks."""
        tried: dict[str, Any] = {
            "address": SOCKET,
            "port": 0,
            "given_up": None,
            "verdict": None,
            "error": "refused",
            "interface": "",
        }

        def lines() -> Iterator[str]:
            yield from _tried(tried)
            yield from _connection(tried)
            yield advice._NO_SESSION[advice.NoSession.UNREACHABLE].format(
                name=SOCKET, where=endpoint_in_words(SOCKET, 0), error=""
            )

        for line in lines():
            self.assertIsNone(re.search(r"port 0|:0\b", line), line)
        self.assertIn(f"Connecting to unix:{SOCKET}.", list(lines()))

    def test_routes(self) -> None:
        """A route is taken and shown as it is typed, with a preference too."""
        for typed in (f"unix:{SOCKET}", f"unix:{SOCKET}/pri=10", "[2001:db8::1]:2525/pri=5", "a.example:26/pri=1"):
            self.assertEqual(shown_hosts(route_of([typed])), typed)
        self.assertEqual(next_hop(f"unix:{SOCKET}").port, 0)
