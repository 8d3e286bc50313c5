"""Whole conversations with a milter in memory: what it is told, and what its answers become."""

from __future__ import annotations

import errno
from ipaddress import ip_address
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError, TCPTimedOutError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.config.schema import Filter
from seg.events.receive import FilterAway
from seg.filter.answers import (
    Accept,
    AddField,
    Answer,
    Change,
    ChangeField,
    DeleteField,
    Discard,
    Hold,
    InsertField,
    Reject,
    TempFail,
)
from seg.filter.chain import ConfiguredFilter, FilterChain, FilterFault, Refused
from seg.filter.changes import applied
from seg.filter.interfaces import FilterContext, IMessageFilter
from seg.filter.message import FilteredMessage
from seg.filter.milter.client import MilterFilter, milter
from seg.filter.milter.options import OUR_ACTIONS, Actions, Stage, Steps
from seg.filter.milter.wire import CHUNK
from seg.filter.plugins import LONGEST
from seg.mail.envelope import BodyType, DSNNotify, DSNRet, Recipient
from seg.smtp.commands import MailArguments
from tests.doubles import RecordingSink
from tests.filter.messages import message
from tests.filter.milter_double import CONTINUE, MemoryEndpoint, Milter, answer

GO_ON = answer(CONTINUE)
SETTINGS = Filter(name="m", address="unix:/m", command_timeout=30.0, content_timeout=300.0)


def numbered(what: bytes, number: int, data: bytes) -> bytes:
    """A reply that begins with a number."""
    return answer(what, number.to_bytes(4, "big") + data)


class MilterCase(SynchronousTestCase):
    """A filter whose milter is in memory."""

    def begin(
        self, house: Milter, told: FilteredMessage | None = None, endpoint: MemoryEndpoint | None = None
    ) -> Deferred[Answer]:
        """Start to judge."""
        self.clock = Clock()
        self.endpoint = endpoint or MemoryEndpoint(house)
        context = FilterContext(SETTINGS, "mx.test", RecordingSink(), self.clock)
        judging = Deferred.fromCoroutine(MilterFilter(context, self.endpoint).judge(told or message()))
        self.endpoint.flush()
        for _ in range(200):  # others have their turns in between
            if judging.called or not any(
                call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()
            ):
                break
            self.clock.advance(0)
            self.endpoint.flush()
        return judging

    def judge(self, house: Milter, told: FilteredMessage | None = None) -> Answer:
        """The answer."""
        return self.successResultOf(self.begin(house, told))

    def fault(self, house: Milter, told: FilteredMessage | None = None) -> str:
        """Why there is none."""
        return str(self.failureResultOf(self.begin(house, told), FilterFault).value)

    def at_end(self, *frames: bytes, **options: Any) -> Answer:
        """The answer of a milter that sends this at the end."""
        return self.judge(Milter({b"E": [b"".join(frames)]}, **options))


class HostileTests(MilterCase):
    """A milter that means harm, or is broken, at each step of the conversation."""

    COMMANDS = b"OCHMRTLNBE"

    def test_each_step(self) -> None:
        """Silence, garbage, an endless frame, a huge one, a hang-up, an answer out of order: at each step the filter is away in time,
        and its connection is closed."""
        wrongs = {
            "silent": None,
            "garbage": b"220 mail.test ESMTP\r\n",
            "no reply": answer(b"X"),
            "huge": b"\x7f\xff\xff\xffc",
            "half": b"\0\0\0\xffc",
            "empty": b"\0\0\0\0",
            "order": answer(b"O", b"\0" * 12),
            "change": answer(b"h", b"X\0y\0"),
            "cut off": answer(b"m", b"\0"),
        }
        for command in (bytes([octet]) for octet in self.COMMANDS):
            for name, wrong in wrongs.items():
                if command == b"E" and name == "change":
                    continue  # there it may
                house = Milter({command: [wrong]} if wrong is not None else {})
                if wrong is None:
                    house.deaf.add(command)
                judging = self.begin(house)
                for _ in range(11):
                    self.clock.advance(30.0)
                    self.endpoint.flush()
                self.failureResultOf(judging, FilterFault)
                assert self.endpoint.pump is not None
                self.assertTrue(self.endpoint.pump.clientIO.disconnecting, (command, name))

    def test_hang_up(self) -> None:
        """The same when it closes."""
        for octet in self.COMMANDS:
            self.assertIn("closed the connection", self.fault(Milter({bytes([octet]): [None]})))

    def test_progress_for_ever(self) -> None:
        """A milter that makes progress has ten minutes, and isn't waited for any longer."""
        house, sink, self.clock = Milter(), RecordingSink(), Clock()
        house.deaf.add(b"E")
        endpoint = MemoryEndpoint(house)
        context = FilterContext(SETTINGS, "mx.test", sink, self.clock)
        chain = FilterChain([ConfiguredFilter(SETTINGS, MilterFilter(context, endpoint), LONGEST)], sink, self.clock)
        judging = Deferred.fromCoroutine(chain.judge(message()))
        endpoint.flush()
        assert endpoint.pump is not None
        for _ in range(5):
            self.assertNoResult(judging)
            self.clock.advance(100)
            endpoint.pump.server.transport.write(answer(b"p"))
            endpoint.flush()
        self.assertNoResult(judging)
        self.clock.advance(100)
        self.assertIsInstance(self.successResultOf(judging), Refused)
        self.assertEqual(sink.of(FilterAway)[0].cause, "no answer within 600 s")
        self.assertTrue(endpoint.pump.clientIO.disconnecting)

    def test_many_lists(self) -> None:
        """A megabyte of lists of macros isn't read."""
        self.assertIn("more than 32 lists", self.fault(Milter(macros=b"\0\0\0\1\0" * 200_000)))


class ToldTests(MilterCase):
    """What a milter hears."""

    def test_whole_story(self) -> None:
        """All commands in their order, each with its data; our own Received field isn't shown."""
        house = Milter()
        self.assertEqual(self.judge(house), Accept())
        self.assertEqual([what + data for what, data in house.heard if what not in b"DO"], [
            b"Cclient.test\x004\0\x00192.0.2.9\0",
            b"Hhelo.test\0",
            b"M<a@one.test>\0SIZE=100\0BODY=8BITMIME\0",
            b"R<b@two.test>\0",
            b"R<C@Three.test>\0",
            b"T",
            b"LFrom\0a@one.test\0",
            b"LSubject\0hello,\n world\0",
            b"LX-Spam\0no\0",
            b"Lx-spam\0maybe\0",
            b"N",
            b"Btext\r\n",
            b"E",
            b"Q",
        ])  # fmt: skip

    def test_macros(self) -> None:
        """Each stage has its macros."""
        house = Milter()
        self.judge(house)
        connect = house.macros(b"C")
        self.assertTrue(connect.pop("v").startswith("seg "))
        self.assertEqual(connect, {
            "j": "mx.test",
            "{daemon_name}": "relay",
            "_": "client.test [192.0.2.9]",
            "{client_addr}": "192.0.2.9",
            "{client_name}": "client.test",
            "{client_ptr}": "client.test",
        })  # fmt: skip
        self.assertEqual(
            house.macros(b"H"),
            {"{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_256_GCM_SHA384", "{cipher_bits}": "256"},
        )
        self.assertEqual(house.macros(b"M"), {
            "i": "7",
            "{auth_type}": "PLAIN",
            "{auth_authen}": "alice",
            "{mail_addr}": "a@one.test",
            "{mail_host}": "one.test",
            "{mail_mailer}": "esmtp",
        })  # fmt: skip
        self.assertEqual(
            house.macros(b"R"),
            {"i": "7", "{rcpt_addr}": "b@two.test", "{rcpt_host}": "two.test", "{rcpt_mailer}": "esmtp"},
        )
        for command in (b"T", b"N", b"E"):
            self.assertEqual(house.macros(command), {"i": "7"})

    def test_chosen_macros(self) -> None:
        """A milter that names the macros it wants at a stage hears no others there, and all elsewhere."""
        lists = Stage.MAIL.to_bytes(4, "big") + b"{auth_authen} {nonsense}\0" + Stage.DATA.to_bytes(4, "big") + b"\0"
        house = Milter(macros=lists)
        self.judge(house)
        self.assertEqual(house.macros(b"M"), {"{auth_authen}": "alice"})
        self.assertEqual(house.macros(b"T"), {})
        self.assertEqual(house.macros(b"E"), {"i": "7"})

    def test_plain_client(self) -> None:
        """Without name, TLS and authentication there is less to tell."""
        told = message()
        client = attrs.evolve(told.client, name="", tls=None, user="", address=ip_address("2001:db8::9"))
        house = Milter()
        self.judge(house, attrs.evolve(told, client=client, sender=MailArguments("")))
        self.assertEqual(house.data(b"C"), [b"[2001:db8::9]\x006\0\x002001:db8::9\0"])
        self.assertEqual(house.macros(b"C")["_"], "unknown [2001:db8::9]")
        self.assertEqual(house.macros(b"H"), {})
        self.assertNotIn("{auth_authen}", house.macros(b"M"))
        self.assertEqual(house.data(b"M"), [b"<>\0"])

    def test_parameters(self) -> None:
        """Parameters of MAIL and RCPT are told as the client gave them."""
        sender = MailArguments("a@b.test", 0, BodyType.SEVEN_BIT, True, DSNRet.HEADERS, "id", True)
        recipients = (
            Recipient(0, "b@b.test", notify=frozenset({DSNNotify.SUCCESS, DSNNotify.DELAY}), orcpt="rfc822;c@d.test"),
            Recipient(1, "c@b.test", notify=frozenset()),
        )
        house = Milter()
        self.judge(house, message(sender=sender, recipients=recipients))
        self.assertEqual(house.data(b"M"), [b"<a@b.test>\0SMTPUTF8\0RET=HDRS\0ENVID=id\0REQUIRETLS\0"])
        self.assertEqual(
            house.data(b"R"),
            [b"<b@b.test>\0NOTIFY=DELAY,SUCCESS\0ORCPT=rfc822;c@d.test\0", b"<c@b.test>\0NOTIFY=NEVER\0"],
        )

    def test_unwanted_steps(self) -> None:
        """What the milter doesn't want to hear isn't said."""
        for unwanted, left in [
            (Steps(0), "OCHMRRTLLLLNBEQ"),
            (Steps.NO_CONNECT, "OHMRRTLLLLNBEQ"),
            (Steps.NO_HELO, "OCMRRTLLLLNBEQ"),
            (Steps.NO_MAIL, "OCHRRTLLLLNBEQ"),
            (Steps.NO_RCPT, "OCHMTLLLLNBEQ"),
            (Steps.NO_DATA, "OCHMRRLLLLNBEQ"),
            (Steps.NO_HEADER, "OCHMRRTNBEQ"),
            (Steps.NO_END_OF_HEADER, "OCHMRRTLLLLBEQ"),
            (Steps.NO_BODY, "OCHMRRTLLLLNEQ"),
            (Steps(0x7F) | Steps.NO_DATA, "OEQ"),
        ]:
            house = Milter(steps=unwanted)
            self.judge(house)
            self.assertEqual(house.commands, left, unwanted)

    def test_silent_steps(self) -> None:
        """For what the milter doesn't answer no answer is waited for."""
        for silent in (0x80, 0x1000, 0x2000, 0x4000, 0x8000, 0x10000, 0x40000, 0x80000, 0xDF080):
            house = Milter(steps=Steps(silent))
            self.assertEqual(self.judge(house), Accept())
            self.assertEqual(house.commands, "OCHMRRTLLLLNBEQ")

    def test_leading_space(self) -> None:
        """With SMFIP_HDR_LEADSPC the space behind the colon belongs to the value, both ways."""
        house = Milter(
            {b"E": [answer(b"h", b"A\0 1\0") + answer(b"h", b"B\x002\0") + GO_ON]}, steps=Steps.LEADING_SPACE
        )
        self.assertEqual(self.judge(house), Change([AddField("A", " 1", False), AddField("B", "2", False)]))
        self.assertEqual(house.data(b"L")[0], b"From\0 a@one.test\0")

    def test_large_body(self) -> None:
        """A body comes in chunks that a milter takes, all of it."""
        body = bytes(range(256)) * 1000
        house = Milter()
        self.judge(house, message(body=body))
        self.assertEqual([len(data) for data in house.data(b"B")], [CHUNK, CHUNK, CHUNK, 59395])
        self.assertEqual(b"".join(house.data(b"B")), body)

    def test_body_of_whole_chunks(self) -> None:
        """A body that ends with a chunk has none behind it, and an empty one none at all."""
        for size, chunks in ((0, []), (CHUNK, [CHUNK]), (2 * CHUNK, [CHUNK, CHUNK])):
            house = Milter()
            self.judge(house, message(body=b"x" * size))
            self.assertEqual([len(data) for data in house.data(b"B")], chunks)

    def test_skip(self) -> None:
        """SKIP ends the body early, and the rest goes on."""
        house = Milter({b"B": [GO_ON, answer(b"s")]}, steps=Steps.MAY_SKIP)
        self.judge(house, message(body=b"x" * 300000))
        self.assertEqual(house.commands, "OCHMRRTLLLLNBBEQ")


class AnswerTests(MilterCase):
    """What the answers of a milter become."""

    def test_early_answers(self) -> None:
        """At each step a milter may end the matter; nothing more is said but goodbye."""
        for command in b"CHMRTLNB":
            for frame, wanted in [
                (answer(b"a"), Accept()),
                (answer(b"r"), Reject()),
                (answer(b"t"), TempFail()),
                (answer(b"d"), Discard()),
                (answer(b"f"), TempFail()),
                (answer(b"4"), TempFail()),
                (answer(b"y", b"554 5.7.9 No\0"), Reject("No", 554, "5.7.9")),
            ]:
                house = Milter({bytes([command]): [answer(b"p") + frame]})
                self.assertEqual(self.judge(house), wanted, (command, frame))
                self.assertTrue(house.commands.endswith(chr(command) + "AQ"), house.commands)

    def test_last_answers(self) -> None:
        """At the end they count in the place of all changes."""
        for frame, wanted in [
            (b"", Accept()),
            (answer(b"a"), Accept()),
            (answer(b"p"), Accept()),
            (answer(b"r"), Reject()),
            (answer(b"t"), TempFail()),
            (answer(b"d"), Discard()),
            (answer(b"f"), TempFail()),
            (answer(b"h", b"A\x001\0") + answer(b"y", b"451 4.7.0 Later\0"), TempFail("Later", 451, "4.7.0")),
        ]:
            self.assertEqual(self.at_end(frame, GO_ON), wanted, frame)

    def test_words(self) -> None:
        """The milter's own words, with or without an enhanced code; 421 becomes 451, as the connection doesn't end."""
        for text, wanted in [
            ("550 5.1.1 No such user", Reject("No such user", 550, "5.1.1")),
            ("550 Go away", Reject("Go away", 550, "5.7.1")),
            ("550", Reject(Reject().text, 550, "5.7.1")),
            ("550 5.7.1", Reject(Reject().text, 550, "5.7.1")),
            ("550 4.7.1 Mixed", Reject("4.7.1 Mixed", 550, "5.7.1")),
            ("421 4.3.0 Later", TempFail("Later", 451, "4.3.0")),
            ("471 Later", TempFail("Later", 471, "4.7.1")),
        ]:
            self.assertEqual(self.at_end(answer(b"y", text.encode() + b"\0")), wanted, text)

    def test_changes(self) -> None:
        """All modifications at once, in the order in which they came."""
        found = self.at_end(
            answer(b"h", b"X-A\x001\0"),
            numbered(b"i", 0, b"X-B\0folded\n\tvalue\0"),
            numbered(b"m", 2, b"X-Spam\0yes\0"),
            numbered(b"m", 1, b"X-Spam\0\0"),
            answer(b"e", b"<new@one.test>\0RET=FULL\0"),
            answer(b"-", b"<b@two.test>\0"),
            answer(b"+", b"<d@four.test>\0"),
            answer(b"2", b"<e@four.test>\0NOTIFY=NEVER\0"),
            GO_ON,
        )
        assert isinstance(found, Change)
        self.assertEqual(found.header, (
            AddField("X-A", "1"),
            InsertField(0, "X-B", "folded\n\tvalue"),
            ChangeField("X-Spam", 2, "yes"),
            DeleteField("X-Spam", 1),
        ))  # fmt: skip
        self.assertEqual(found.sender, MailArguments("new@one.test", ret=DSNRet.FULL))
        self.assertEqual(found.delete_recipients, ("b@two.test",))
        self.assertEqual([(each.address, each.notify) for each in found.add_recipients], [
            ("d@four.test", None),
            ("e@four.test", frozenset()),
        ])  # fmt: skip
        self.assertIsNone(found.body)

    def test_quarantine(self) -> None:
        """It is held, with whatever was changed."""
        self.assertEqual(self.at_end(answer(b"q", b"virus?\0"), GO_ON), Hold("virus?"))
        self.assertEqual(
            self.at_end(answer(b"q", b"\0"), answer(b"h", b"A\x001\0"), answer(b"a")),
            Hold("no reason given", Change([AddField("A", "1")])),
        )

    def test_new_body(self) -> None:
        """Pieces of a new body are put together outside the memory of the conversation."""
        found = self.at_end(answer(b"b", b"one\r\n"), answer(b"b", b"two\r\n"), GO_ON)
        assert isinstance(found, Change)
        self.assertEqual(found.body.data, b"one\r\ntwo\r\n")  # type: ignore[union-attr]

    def test_pressure(self) -> None:
        """A milter isn't read faster than its new body can be stored."""
        told = message()
        writer = told.scratch()
        backpressure: Deferred[None] = Deferred()
        writer.backpressure = backpressure
        house = Milter({b"E": [answer(b"b", b"one\r\n") + GO_ON]})
        judging = self.begin(house, attrs.evolve(told, scratch=lambda: writer))
        self.assertNoResult(judging)
        backpressure.callback(None)
        self.assertIsInstance(self.successResultOf(judging), Change)


class FaultTests(MilterCase):
    """A milter that can't be used, and why."""

    def test_rules_broken(self) -> None:
        """What the protocol doesn't allow ends the conversation, with a line that says what it was."""
        many = answer(b"h", b"A\x001\0") * 5001
        for replies, options, text in [
            ({b"O": [None]}, {}, "it closed the connection"),
            ({b"O": [GO_ON]}, {}, "it doesn't negotiate"),
            ({b"O": [b"HTTP/1.1 400 Bad Request\r\n"]}, {}, "is this a milter?"),
            ({}, {"version": 7}, "version 7"),
            ({b"C": [answer(b"h", b"A\x001\0")]}, {}, "FieldAdded where that isn't allowed"),
            ({b"C": [answer(b"s")]}, {}, "SKIP where that isn't allowed"),
            ({b"B": [answer(b"s")]}, {}, "SKIP where that isn't allowed"),
            ({b"E": [answer(b"s")]}, {}, "SKIP where that isn't allowed"),
            ({b"M": [None]}, {}, "it closed the connection"),
            ({b"E": [answer(b"y", b"250 Ok\0")]}, {}, "which is no 4xx or 5xx"),
            ({b"E": [answer(b"y", b"\0")]}, {}, "which is no 4xx or 5xx"),
            ({b"E": [answer(b"y", b"5500 x\0")]}, {}, "which is no 4xx or 5xx"),
            ({b"E": [answer(b"?")]}, {}, "no reply of the protocol"),
            ({b"E": [answer(b"h", b"A B\x001\0")]}, {}, "is no name of a header field"),
            ({b"E": [answer(b"+", b"<no address>\0")]}, {}, "Syntax error in address"),
            ({b"E": [answer(b"e", b"<a@b.test>\0FOO=1\0")]}, {}, "FOO"),
            ({b"E": [many]}, {}, "more than 5000 changes"),
            ({b"E": [answer(b"h", b"A\0" + b"x" * 600000 + b"\0") * 2]}, {}, "more than 1048576 octets"),
            ({b"E": [answer(b"b", b"x" * 600000) * 2]}, {}, "larger than 1000000 octets"),
        ]:
            self.assertIn(text, self.fault(Milter(replies, **options)), (replies, options))

    def test_not_asked_for(self) -> None:
        """A modification that the negotiation doesn't allow is refused, for each of them."""
        for frame, action in [
            (answer(b"h", b"A\x001\0"), Actions.ADD_HEADER),
            (numbered(b"i", 0, b"A\x001\0"), Actions.ADD_HEADER),
            (numbered(b"m", 1, b"A\x001\0"), Actions.CHANGE_HEADER),
            (answer(b"e", b"<a@b.test>\0"), Actions.CHANGE_SENDER),
            (answer(b"-", b"<a@b.test>\0"), Actions.DELETE_RECIPIENT),
            (answer(b"b", b"x"), Actions.REPLACE_BODY),
            (answer(b"q", b"x\0"), Actions.QUARANTINE),
            (answer(b"+", b"<a@b.test>\0"), Actions.ADD_RECIPIENT | Actions.ADD_RECIPIENT_WITH_PARAMETERS),
        ]:
            house = Milter({b"E": [frame + GO_ON]}, actions=OUR_ACTIONS & ~action)
            self.assertIn("without having asked for it", self.fault(house), action)

    def test_too_much_for_a_frame(self) -> None:
        """A field that a milter can't be shown whole isn't shown in part."""
        told = message(header=b"To: " + b"a@b.test, " * 7000 + b"\r\n")
        self.assertIn("can't be shown", self.fault(Milter(), told))

    def test_deaf(self) -> None:
        """Each wait has its limit; progress at the end starts it anew."""
        house = Milter()
        house.deaf = {b"M"}
        judging = self.begin(house)
        self.clock.advance(29.9)
        self.assertNoResult(judging)
        self.clock.advance(0.2)
        self.assertIn("it doesn't answer within 30 s", str(self.failureResultOf(judging, FilterFault).value))
        house = Milter({b"E": [answer(b"p")]})
        judging = self.begin(house)
        self.clock.advance(299)
        self.assertNoResult(judging)
        self.clock.advance(2)
        self.assertIn("within 300 s", str(self.failureResultOf(judging, FilterFault).value))

    def test_unreachable(self) -> None:
        """The address and the system's words are told."""
        for error, text in [
            (ConnectionRefusedError(errno.ECONNREFUSED), "Connection refused"),
            (TCPTimedOutError(), "TCP connection timed out"),
            (DNSLookupError("no such host"), "DNS lookup failed: no such host"),
        ]:
            judging = self.begin(Milter(), endpoint=MemoryEndpoint(Milter(), error))
            fault = str(self.failureResultOf(judging, FilterFault).value)
            self.assertTrue(fault.startswith(f"unix:/m: can't connect: {text}"), fault)

    def test_cancelled(self) -> None:
        """Whoever cancels ends the connection; while it is being made, too."""
        house = Milter()
        house.deaf = {b"E"}
        judging = self.begin(house)
        judging.cancel()
        self.failureResultOf(judging, CancelledError)
        self.endpoint.flush()
        self.assertTrue(house.commands.endswith("EAQ"))
        judging = self.begin(house, endpoint=MemoryEndpoint(house, never=True))
        judging.cancel()
        self.failureResultOf(judging, CancelledError)


LIKELY = [b"", b"X-A\0\xff b\r\nX-B: c\0", b"\0\0\0\1X-A\0\0", b"<a@b.test>\0", b"550 5.7.1 x\0", b"x\0"]
FRAMES = st.lists(
    st.builds(
        answer,
        st.sampled_from([bytes([code]) for code in b"carytdspf4hime+2-bqZ"]),
        st.sampled_from(LIKELY) | st.binary(max_size=40),
    )
    | st.binary(max_size=20),
    max_size=6,
)


class AnythingTests(MilterCase):
    """A milter that says anything."""

    @given(st.sampled_from([bytes([command]) for command in b"OCHMRTLNBE"]), FRAMES)
    @settings(max_examples=300, deadline=None)
    def test_it_ends(self, command: bytes, frames: list[bytes]) -> None:
        """Whatever it says at whatever step, the conversation ends: with an answer that can be applied, or as a fault in words."""
        told = message()
        judging = self.begin(Milter({command: [b"".join(frames) + GO_ON]}), told)
        self.clock.advance(1000)
        results: list[object] = []
        judging.addBoth(results.append)
        (result,) = results
        if isinstance(result, Failure):
            result.trap(FilterFault)
            self.assertNotIn("\n", str(result.value))
        else:
            applied(told, result, 2)  # type: ignore[arg-type]


class AddressTests(SynchronousTestCase):
    """`milter`."""

    def test_made(self) -> None:
        """A table's address becomes an endpoint; nothing connects yet."""
        clock = Clock()
        for address in ("unix:/m", "inet:127.0.0.1:1", "inet6:[::1]:1", "inet:localhost:1"):
            made = milter(FilterContext(attrs.evolve(SETTINGS, address=address), "mx.test", RecordingSink(), clock))
            verifyObject(IMessageFilter, made)
        self.assertEqual(clock.getDelayedCalls(), [])
