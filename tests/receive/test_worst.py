"""Every parser that a client feeds, with the worst it can be given: far below the 50 ms that a turn of the reactor may take."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from seg.auth.names import MAX_NAME, MAX_PASSWORD, prepare_name, prepare_password
from seg.auth.plain import Plain
from seg.auth.scram import ScramServer
from seg.config.receive import Auth
from seg.receive.proxy_protocol import ProxyHeader
from seg.receive.senders import SenderRules
from seg.smtp.commands import parse_mail, parse_rcpt
from seg.smtp.dot_stuffing import DotDecoder
from seg.smtp.header_scan import HeaderScan
from seg.smtp.lines import LINE_LIMIT, LineBuffer
from seg.smtp.server_auth import RESPONSE_LIMIT, parse_response, without_secret
from seg.smtp.server_content import IncomingChunks
from seg.smtp.xclient import parse_xclient

READ = 65536  # octets that may come at once
RULES = SenderRules(Auth(own_address_only=True, check_header_from=True))


def lines(data: bytes) -> None:
    buffer = LineBuffer()
    buffer.feed(data)
    for _ in range(20):
        buffer.next()


def header(data: bytes, cut: int) -> None:
    reader = HeaderScan()
    for start in range(0, min(len(data), cut * 3000), cut):
        reader.feed(data[start : start + cut])
    _ = reader.hops, reader.tls_optional, reader.field(b"subject:")


def worst() -> dict[str, Callable[[], object]]:
    wide, odd = "\uff76\uff9e", "a" + "\u0301" * 30  # halfwidth kana that compose; a pile of accents
    long = LINE_LIMIT
    return {
        "name, kana": lambda: prepare_name((wide * MAX_NAME)[:MAX_NAME]),
        "name, accents": lambda: prepare_name((odd * MAX_NAME)[:MAX_NAME]),
        "password, kana": lambda: prepare_password((wide * MAX_PASSWORD)[:MAX_PASSWORD]),
        "password, accents": lambda: prepare_password((odd * MAX_PASSWORD)[:MAX_PASSWORD]),
        "PLAIN": lambda: Plain().step(b"\0a\0" + wide.encode() * 1500),
        "SCRAM, escapes": lambda: ScramServer({}).step(b"n,,n=" + b"=2C" * 3000 + b",r=x"),
        "SCRAM, extensions": lambda: ScramServer({}).step(b"n,,n=a,r=x" + b",a=b" * 2200 + b"\0"),
        "base64": lambda: parse_response(base64.b64encode(bytes(RESPONSE_LIMIT * 3 // 4))),
        "MAIL, labels": lambda: parse_mail("FROM:<a@" + ".".join(["\u0645\u0645"] * 40) + "> SMTPUTF8"),
        "MAIL, route": lambda: parse_mail("FROM:<" + "@a.b," * (long // 5) + "@a:x@y>"),
        "MAIL, hyphens": lambda: parse_mail("FROM:<a@" + "a-" * (long // 2) + ">"),
        "MAIL, quotes": lambda: parse_mail('FROM:<"' + "\\\\" * (long // 2) + "@x>"),
        "MAIL, parameters": lambda: parse_mail("FROM:<> " + " ".join(f"A{i}=1" for i in range(long // 6))),
        "RCPT, ORCPT": lambda: parse_rcpt("TO:<a@b> ORCPT=rfc822;" + "+41" * 160, False),
        "XCLIENT": lambda: parse_xclient(" ".join(["NAME=" + "+41" * 20] * 15)),
        "line for the log": lambda: without_secret("AUTH" + "= \t" * (long // 3)),
        "PROXY": lambda: ProxyHeader().feed(b"PROXY TCP4 " + b" " * READ),
        "lines, none ends": lambda: lines(b"x" * READ),
        "lines, LF": lambda: lines(b"\n" * READ),
        "lines, CR": lambda: lines(b"\r" * READ + b"\r\n"),
        "content, dots": lambda: DotDecoder(normalise=True).feed(b"..\r\n" * (READ // 4)),
        "content, bare LF": lambda: DotDecoder(normalise=True).feed(b".\n" * (READ // 2)),
        "content, bare CR": lambda: DotDecoder(normalise=True).feed(b"\r" * READ),
        "chunk, bare CR": lambda: IncomingChunks(10**9, True).feed(b"\r\n\r" * (READ // 3), False),
        "header, one field": lambda: header(b"Subject: x\r\n" + b" x\r\n" * (READ // 4), READ),
        "header, Received": lambda: header(b"Received:\r\n" * (READ // 11), READ),
        "header, octet by octet": lambda: header(b"x" * READ, 1),
        "header, senders": lambda: RULES.objection("a@b.test", b"\r\n" + (b"From: " + b"(" * 3000 + b"\r\n") * 20),
        "header, resent": lambda: RULES.objection("a@b.test", b"\r\n" + (b"Resent-From: a@b.test\r\n") * 2800),
        "header, list": lambda: RULES.objection("a@b.test", b"\r\nFrom: " + b"a@b.test," * 440),
        "header, no field": lambda: RULES.objection("a@b.test", b"\r\n" + b"from \t" * 10_000),
    }


class WorstTests(SynchronousTestCase):
    """Measured in the processor's time, best of three."""

    def test_every_parser(self) -> None:
        """None comes near 50 ms."""
        for name, parse in worst().items():
            best = 1.0
            for _ in range(3):
                began = time.process_time()
                with contextlib.suppress(ValueError):
                    parse()
                best = min(best, time.process_time() - began)
            self.assertLess(best, 0.05, name)
