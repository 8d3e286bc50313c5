"""The lab's name server, asked over real sockets."""

from __future__ import annotations

from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from seg.lab.dnsserver import AnswerFailure, NameServer


class NameServerTests(TestCase):
    """Answers, security and failures."""

    def setUp(self) -> None:
        """A server with one signed and one unsigned zone."""
        self.server = NameServer(reactor)  # type: ignore[arg-type]
        self.server.start()
        self.addCleanup(self._stop)
        self.server.zone("signed.example", secure=True)
        self.server.zone("plain.example", secure=False)
        self.server.load(
            """
            ; two zones
            signed.example          MX    10 mx.signed.example.
            mx.signed.example       A     127.0.0.9
            alias.signed.example    CNAME mx.signed.example.
            out.signed.example      CNAME mx.plain.example.
            plain.example           MX    10 mx.plain.example.
            mx.plain.example        A     127.0.0.8
            loop.plain.example      CNAME loop.plain.example.
            """
        )

    async def _stop(self) -> None:
        await self.server.stop()

    async def ask(self, name: str, rdtype: str, *, tcp: bool = False, timeout: float = 2, **options: Any) -> Any:
        """Ask the server as dnspython does."""
        options.setdefault("want_dnssec", True)
        query = dns.message.make_query(name, rdtype, **options)
        send = dns.query.tcp if tcp else dns.query.udp
        return await deferToThread(send, query, self.server.address, port=self.server.port, timeout=timeout)

    async def test_secure_zone_has_ad(self) -> None:
        """An answer from a signed zone carries AD when the query has DO."""
        answer = await self.ask("signed.example", "MX")
        self.assertEqual(answer.answer[0][0].to_text(), "10 mx.signed.example.")
        self.assertTrue(answer.flags & dns.flags.AD)

    async def test_ad_bit_in_query_is_enough(self) -> None:
        """AD in the query asks for AD too, without DO."""
        answer = await self.ask("signed.example", "MX", want_dnssec=False, flags=dns.flags.RD | dns.flags.AD)
        self.assertTrue(answer.flags & dns.flags.AD)

    async def test_nobody_asked_for_ad(self) -> None:
        """Without DO and AD in the query there's no AD in the answer."""
        answer = await self.ask("signed.example", "MX", want_dnssec=False)
        self.assertFalse(answer.flags & dns.flags.AD)

    async def test_insecure_zone_has_no_ad(self) -> None:
        """An answer from an unsigned zone never carries AD."""
        self.assertFalse((await self.ask("plain.example", "MX")).flags & dns.flags.AD)

    async def test_alias_is_followed(self) -> None:
        """A CNAME comes with the records of its target, AD only when both zones are signed."""
        inside = await self.ask("alias.signed.example", "A")
        self.assertEqual([str(rrset.name) for rrset in inside.answer][1], "mx.signed.example.")
        self.assertTrue(inside.flags & dns.flags.AD)
        outside = await self.ask("out.signed.example", "A")
        self.assertEqual(outside.answer[1][0].to_text(), "127.0.0.8")
        self.assertFalse(outside.flags & dns.flags.AD)

    async def test_alias_loop_ends(self) -> None:
        """A CNAME loop is answered, with an end."""
        answer = await self.ask("loop.plain.example", "A")
        self.assertEqual(answer.rcode(), dns.rcode.NOERROR)

    async def test_denials(self) -> None:
        """NXDOMAIN and NODATA come with the zone's SOA, and are authenticated as answers are."""
        for name, rcode in (
            ("no.signed.example", dns.rcode.NXDOMAIN),
            ("mx.signed.example", dns.rcode.NOERROR),
        ):
            answer = await self.ask(name, "TLSA")
            self.assertEqual(answer.rcode(), rcode)
            self.assertEqual(str(answer.authority[0].name), "signed.example.")
            self.assertEqual(answer.authority[0].rdtype.name, "SOA")
            self.assertTrue(answer.flags & dns.flags.AD)

    async def test_empty_name_exists(self) -> None:
        """A name that only has names below it is NODATA (RFC 8020)."""
        self.server.add("_25._tcp.mx.signed.example", "TLSA", "3 1 1 " + "00" * 32)
        self.assertEqual((await self.ask("_tcp.mx.signed.example", "A")).rcode(), dns.rcode.NOERROR)

    async def test_root_key(self) -> None:
        """The root's DNSKEY is there with AD, by which a gateway sees that its resolver validates."""
        answer = await self.ask(".", "DNSKEY")
        self.assertTrue(answer.answer)
        self.assertTrue(answer.flags & dns.flags.AD)

    async def test_resolver_that_does_not_validate(self) -> None:
        """With `validating` False nothing carries AD."""
        self.server.validating = False
        self.assertFalse((await self.ask(".", "DNSKEY")).flags & dns.flags.AD)
        self.assertFalse((await self.ask("signed.example", "MX")).flags & dns.flags.AD)

    async def test_failures(self) -> None:
        """A question can be made to fail by code, and mended again; other types of the name don't fail."""
        table = {
            AnswerFailure.SERVFAIL: dns.rcode.SERVFAIL,
            AnswerFailure.REFUSED: dns.rcode.REFUSED,
            AnswerFailure.NOTIMP: dns.rcode.NOTIMP,
            AnswerFailure.BOGUS: dns.rcode.SERVFAIL,
        }
        for failure, rcode in table.items():
            self.server.fail("mx.signed.example", "A", failure)
            self.assertEqual((await self.ask("mx.signed.example", "A")).rcode(), rcode)
            self.assertEqual((await self.ask("mx.signed.example", "AAAA")).rcode(), dns.rcode.NOERROR)
        self.server.mend("mx.signed.example", "A")
        self.assertEqual((await self.ask("mx.signed.example", "A")).rcode(), dns.rcode.NOERROR)

    async def test_bogus_says_why(self) -> None:
        """A bogus answer bears extended error 6 (RFC 8914)."""
        self.server.fail("signed.example", "MX", AnswerFailure.BOGUS)
        answer = await self.ask("signed.example", "MX")
        self.assertEqual([option.code for option in answer.options], [6])

    async def test_dropped(self) -> None:
        """A dropped question gets no answer at all."""
        self.server.fail("signed.example", "MX", AnswerFailure.DROP)
        with self.assertRaises(dns.exception.Timeout):
            await self.ask("signed.example", "MX", timeout=0.1)

    async def test_truncated(self) -> None:
        """A truncated answer is empty over UDP and whole over TCP."""
        self.server.fail("signed.example", "MX", AnswerFailure.TRUNCATE)
        over_udp = await self.ask("signed.example", "MX")
        self.assertTrue(over_udp.flags & dns.flags.TC)
        self.assertFalse(over_udp.answer)
        self.assertTrue((await self.ask("signed.example", "MX", tcp=True)).answer)
        self.assertEqual([asked.tcp for asked in self.server.asked], [False, True])

    async def test_large_answer_is_truncated(self) -> None:
        """What doesn't fit into the client's payload size has to be fetched over TCP."""
        self.server.add("big.plain.example", "TXT", *(f'"{n} {"x" * 200}"' for n in range(20)))
        self.assertTrue((await self.ask("big.plain.example", "TXT", payload=1232)).flags & dns.flags.TC)
        self.assertEqual(len((await self.ask("big.plain.example", "TXT", tcp=True)).answer[0]), 20)

    async def test_garbage(self) -> None:
        """Garbage isn't a DNS message."""
        self.server.fail("signed.example", "MX", AnswerFailure.GARBAGE)
        with self.assertRaises(dns.exception.DNSException):
            await self.ask("signed.example", "MX", timeout=0.2)

    async def test_delay(self) -> None:
        """A delayed answer comes late, but comes."""
        self.server.delay("signed.example", "MX", 0.1)
        with self.assertRaises(dns.exception.Timeout):
            await self.ask("signed.example", "MX", timeout=0.03)
        self.assertTrue((await self.ask("signed.example", "MX", timeout=1)).answer)

    async def test_changes_while_running(self) -> None:
        """Records can be added, replaced and removed."""
        self.server.add("signed.example", "MX", "20 mx2.signed.example.")
        self.assertEqual(len((await self.ask("signed.example", "MX")).answer[0]), 2)
        self.server.replace("signed.example", "MX", "30 mx3.signed.example.")
        self.assertEqual((await self.ask("signed.example", "MX")).answer[0][0].preference, 30)
        self.server.remove("signed.example")
        self.assertEqual((await self.ask("signed.example", "MX")).answer, [])

    async def test_questions_are_counted(self) -> None:
        """Every question is counted, whatever the case of its name."""
        await self.ask("SIGNED.example", "MX")
        await self.ask("signed.example", "MX")
        self.assertEqual(self.server.count("signed.example", "MX"), 2)
        self.assertEqual(self.server.count("signed.example", "A"), 0)
