"""Filters in order: what each sees of the ones before, what ends the chain, and what happens when one is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.config.schema import Filter, WhenAway
from seg.events.receive import (
    FilterAnswered,
    FilterAway,
    FilterChangedSender,
    FilterPassedOver,
    FilterRemovedRecipient,
    RecipientAccepted,
)
from seg.filter.answers import (
    Accept,
    AddField,
    Answer,
    Change,
    Discard,
    Hold,
    Redirect,
    Reject,
    TempFail,
    recipient_of,
    sender_of,
)
from seg.filter.chain import ConfiguredFilter, Dropped, FilterChain, FilterFault, Passed, Refused, Verdict
from seg.filter.interfaces import IMessageFilter
from seg.filter.message import FilteredMessage, OctetContent
from seg.filter.turns import AT_A_TIME
from seg.mail.envelope import BodyType, DSNNotify, DSNRet, Recipient
from seg.queue.interfaces import IContent
from seg.smtp.commands import MailArguments
from seg.smtp.reply import Reply
from tests.doubles import RecordingSink
from tests.filter.messages import message


@implementer(IMessageFilter)
class FilterDouble:
    """Answers as it is told, and keeps what it saw."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.seen: list[FilteredMessage] = []

    def judge(self, message: FilteredMessage) -> Awaitable[Answer]:
        """See `IMessageFilter.judge`."""
        self.seen.append(message)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer if isinstance(self._answer, Deferred) else succeed(self._answer)


class ChainCase(SynchronousTestCase):
    """A chain of doubles."""

    def setUp(self) -> None:
        self.sink = RecordingSink()
        self.clock = Clock()

    def begin(self, *answers: Any, told: FilteredMessage | None = None, **settings: Any) -> Deferred[Verdict]:
        """Start with filters f1, f2, ..."""
        self.doubles = [FilterDouble(answer) for answer in answers]
        filters = [
            ConfiguredFilter(Filter(name=f"f{number}", kind="double", **settings), double, 60.0)
            for number, double in enumerate(self.doubles, 1)
        ]
        chain = FilterChain(filters, self.sink, self.clock)
        return Deferred.fromCoroutine(chain.judge(told or message()))

    def judge(self, *answers: Any, **settings: Any) -> Verdict:
        """The chain's word."""
        return self.successResultOf(self.begin(*answers, **settings))

    def passed(self, *answers: Any, **settings: Any) -> Passed:
        """The chain's word, which must be yes."""
        verdict = self.judge(*answers, **settings)
        assert isinstance(verdict, Passed), verdict
        return verdict


class OrderTests(ChainCase):
    """Several filters."""

    def test_truth(self) -> None:
        """A chain without filters is false."""
        self.assertFalse(FilterChain((), self.sink, self.clock))
        self.assertTrue(FilterChain([ConfiguredFilter(Filter(), FilterDouble(Accept()), None)], self.sink, self.clock))

    def test_nothing_changed(self) -> None:
        """All accept: the message is the one that came, and needn't be written anew."""
        told = message()
        verdict = self.passed(Accept(), Change(), told=told)
        self.assertEqual((verdict.message, verdict.changed, verdict.holds), (told, False, ()))
        self.assertEqual(self.sink.events, [
            FilterAnswered(7, "f1", "accept", (), 0.0),
            FilterAnswered(7, "f2", "accept", (), 0.0),
        ])  # fmt: skip

    def test_next_sees_changes(self) -> None:
        """What one changes the next one sees, in header, envelope and body."""
        self.passed(
            Change(
                header=[AddField("X-A", "1")],
                sender="new@one.test",
                delete_recipients=["C@three.TEST"],
                add_recipients=["d@four.test"],
                body=b"new\r\n",
            ),
            Accept(),
        )
        seen = self.doubles[1].seen[0]
        self.assertEqual(seen.fields[-1].raw, b"X-A: 1\r\n")
        self.assertEqual(seen.sender, MailArguments("new@one.test", size=100, body=BodyType.EIGHT_BIT))
        self.assertEqual(seen.recipients, (Recipient(0, "b@two.test"), Recipient(2, "d@four.test")))
        whole = self.successResultOf(Deferred.fromCoroutine(seen.content.head(1000)))
        self.assertTrue(whole.startswith(b"From: a@one.test\r\n") and whole.endswith(b"X-A: 1\r\n\r\nnew\r\n"), whole)
        self.assertEqual(self.sink.events, [
            FilterAnswered(
                7,
                "f1",
                "accept",
                ("1 header change", "reverse-path changed", "1 recipient removed", "1 recipient added", "body replaced"),
                0.0,
            ),
            FilterChangedSender(7, "f1", "new@one.test"),
            FilterRemovedRecipient(7, "f1", 1, "C@Three.test"),
            RecipientAccepted(7, 5, 2, "d@four.test"),
            FilterAnswered(7, "f2", "accept", (), 0.0),
        ])  # fmt: skip

    def test_refusals_end_it(self) -> None:
        """Behind a refusal or a discard nobody is asked."""
        for answer, wanted in [
            (Reject(), Refused("f1", Reply.of(550, "5.7.1", "Message rejected"))),
            (TempFail("Wait", 450, "4.2.1"), Refused("f1", Reply.of(450, "4.2.1", "Wait"))),
            (Discard(), Dropped("f1")),
            (Change(delete_recipients=["b@two.test", "C@Three.test"]), Dropped("f1")),
        ]:
            self.assertEqual(self.judge(answer, Accept()), wanted)
            self.assertEqual(self.doubles[1].seen, [])
        said = self.sink.of(FilterAnswered)
        self.assertEqual([(each.answer, each.details) for each in said], [
            ("reject", ("550 5.7.1 Message rejected",)),
            ("tempfail", ("450 4.2.1 Wait",)),
            ("discard", ()),
            ("accept", ("2 recipients removed",)),
        ])  # fmt: skip

    def test_hold(self) -> None:
        """A message that is to be held is shown to the next ones all the same, who may refuse it."""
        verdict = self.passed(Hold("odd", Change(header=[AddField("A", "1")])), Hold("very odd"))
        self.assertEqual(verdict.holds, ("filter f1: odd", "filter f2: very odd"))
        self.assertTrue(verdict.changed)
        self.assertEqual(self.sink.of(FilterAnswered)[0].details, ("odd", "1 header change"))
        self.assertIsInstance(self.judge(Hold("odd"), Reject()), Refused)

    def test_redirect(self) -> None:
        """The recipients are others now, each with a RID that no one has had."""
        verdict = self.passed(Redirect(["x@five.test", "b@two.test"]), Change(add_recipients=["y@five.test"]))
        self.assertEqual([(r.rid, r.address) for r in verdict.message.recipients], [
            (2, "x@five.test"),
            (3, "b@two.test"),
            (4, "y@five.test"),
        ])  # fmt: skip
        self.assertFalse(verdict.changed)

    def test_recipients(self) -> None:
        """A recipient that is there isn't added again; domains are compared in any writing, local parts as they are."""
        adding = [recipient_of("b@TWO.test"), recipient_of("B@two.test", "NOTIFY=NEVER"), "B@two.test"]
        verdict = self.passed(Change(add_recipients=adding, delete_recipients=["<c@three.test>", "nobody@two.test"]))
        self.assertEqual([(r.rid, r.address, r.notify) for r in verdict.message.recipients], [
            (0, "b@two.test", None),
            (1, "C@Three.test", None),
            (2, "B@two.test", frozenset()),
        ])  # fmt: skip

    def test_sender(self) -> None:
        """Parameters that come with a new reverse-path hold; the same one again is no change."""
        verdict = self.passed(Change(sender=sender_of("ü@one.test", "RET=HDRS ENVID=x")))
        self.assertEqual(
            verdict.message.sender,
            MailArguments("ü@one.test", 100, BodyType.EIGHT_BIT, True, DSNRet.HEADERS, "x"),
        )
        self.passed(Change(sender="a@one.test"))
        self.assertEqual(self.sink.events[-1], FilterAnswered(7, "f1", "accept", (), 0.0))
        self.passed(Change(sender=""))
        self.assertEqual(self.sink.events[-1], FilterChangedSender(7, "f1", ""))

    def test_passed_over(self) -> None:
        """A message larger than the filter's max_message_size isn't shown to it."""
        told = message(body=b"x" * 500)
        self.passed(Reject(), told=told, max_message_size=500)
        self.assertEqual(self.sink.events, [FilterPassedOver(7, "f1", told.content.size)])
        self.assertIsInstance(self.judge(Reject(), told=told, max_message_size=1000), Refused)


class AwayTests(ChainCase):
    """A filter that gives no answer."""

    def test_when_away(self) -> None:
        """`when_away` decides; the next filter is asked only if it says accept, and nothing of the first one's is kept."""
        for word, wanted in [
            (WhenAway.TEMPFAIL, Refused("f1", Reply.of(451, "4.7.1", "Service unavailable; try again later"))),
            (WhenAway.REJECT, Refused("f1", Reply.of(550, "5.7.1", "Message can't be checked"))),
        ]:
            self.assertEqual(self.judge(FilterFault("gone"), Accept(), when_away=word), wanted)
            self.assertEqual(self.sink.events.pop(), FilterAway(7, "f1", "gone", word.value, 0.0))
            self.assertEqual(self.doubles[1].seen, [])
        verdict = self.passed(FilterFault("gone"), Accept(), when_away=WhenAway.ACCEPT)
        self.assertFalse(verdict.changed)
        self.assertEqual(len(self.doubles[1].seen), 1)

    def test_too_late(self) -> None:
        """A filter of a third party has its content_timeout for the whole answer."""
        never: Deferred[Answer] = Deferred()
        judging = self.begin(never)
        self.clock.advance(59)
        self.assertNoResult(judging)
        self.clock.advance(1)
        self.assertIsInstance(self.successResultOf(judging), Refused)
        self.assertEqual(self.sink.events, [FilterAway(7, "f1", "no answer within 60 s", "tempfail", 60.0)])

    def test_no_limit(self) -> None:
        """A milter, which keeps to its own time-outs, isn't given one by the chain."""
        never: Deferred[Answer] = Deferred()
        chain = FilterChain([ConfiguredFilter(Filter(), FilterDouble(never), None)], self.sink, self.clock)
        judging = Deferred.fromCoroutine(chain.judge(message()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        never.callback(Accept())
        self.assertIsInstance(self.successResultOf(judging), Passed)

    def test_bugs(self) -> None:
        """Whatever goes wrong in a third party's code is a filter that is away, with a traceback for its author."""
        surrogate = Change(header=[AddField("A", "\ud800")])
        for answer, cause in [
            (ValueError("oops"), "ValueError: oops"),
            (surrogate, "UnicodeEncodeError"),
        ]:
            self.assertIsInstance(self.judge(answer), Refused)
            self.assertIn(cause, self.sink.of(FilterAway)[-1].cause)
            self.assertEqual(len(self.flushLoggedErrors()), 1)
        for answer in (None, "accept", Accept):
            self.assertIsInstance(self.judge(answer), Refused)
            self.assertIn("which is none of the answers", self.sink.of(FilterAway)[-1].cause)

    def test_cancels_itself(self) -> None:
        """A filter whose own work was cancelled is away like any other."""
        self.assertIsInstance(self.judge(CancelledError()), Refused)
        self.assertEqual(self.sink.events, [FilterAway(7, "f1", "its own work was cancelled", "tempfail", 0.0)])

    def test_deaf_to_cancellation(self) -> None:
        """A filter that makes something else of a cancellation isn't waited for, and says nothing any more."""
        for canceller in (
            lambda asked: asked.callback(Accept()),
            lambda asked: asked.errback(ValueError("connecting was cancelled")),
        ):
            judging = self.begin(Deferred(canceller))
            judging.cancel()
            self.failureResultOf(judging, CancelledError)
            self.assertEqual(self.sink.events, [])

    def test_deaf_to_time(self) -> None:
        """What a filter says when its time is up comes too late."""
        judging = self.begin(Deferred(lambda asked: asked.callback(Accept())))
        self.clock.advance(60)
        self.assertIsInstance(self.successResultOf(judging), Refused)

    def test_cancelled(self) -> None:
        """Whoever cancels the chain cancels the filter that is being asked, and no when_away decides."""
        cancelled: list[Deferred[Answer]] = []
        judging = self.begin(Deferred(cancelled.append), when_away=WhenAway.ACCEPT)
        judging.cancel()
        self.failureResultOf(judging, CancelledError)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.sink.events, [])


class AnswerTests(SynchronousTestCase):
    """`seg.filter.answers` can't hold what makes no sense."""

    def test_refused(self) -> None:
        """Codes, addresses and recipients are checked where they are written."""
        bad: list[Callable[[], object]] = [
            lambda: Reject("x", 451),
            lambda: Reject("x", 550, "4.7.1"),
            lambda: Reject("x", 550, "5.x.1"),
            lambda: TempFail("x", 550),
            lambda: TempFail("x", 421),
            lambda: Redirect([]),
            lambda: Redirect(["nobody"]),
            lambda: Change(sender="a b@c.test"),
            lambda: Change(add_recipients=["a@b.test> X"]),
        ]
        for make in bad:
            self.assertRaises(ValueError, make)

    def test_one_line(self) -> None:
        """The words of a refusal are one line of printable ASCII that a reply has room for; a reason to hold is one line too."""
        self.assertEqual(Reject("a\r\n250 b\tü").reply.message, "a 250 b ?")
        self.assertEqual(len(Reject("x" * 1000).reply.message), 400)
        self.assertEqual(Hold("a\nb \x1b[1m\udcff ü").reason, "a b ?[1m? ü")
        self.assertEqual(len(Hold("x" * 1000).reason), 200)

    def test_parameters(self) -> None:
        """Parameters are read as in MAIL and RCPT."""
        self.assertEqual(recipient_of("a@b.test", "NOTIFY=DELAY").notify, frozenset({DSNNotify.DELAY}))
        self.assertEqual(sender_of("ü@b.test", "SMTPUTF8"), MailArguments("ü@b.test", smtputf8=True))


class ContentTests(SynchronousTestCase):
    """`FilteredMessage.content`."""

    def pieces(self, content: Any) -> list[bytes]:
        async def collect() -> list[bytes]:
            return [piece async for piece in content.chunks()]

        return self.successResultOf(Deferred.fromCoroutine(collect()))

    def test_pieces(self) -> None:
        """Header and body come in pieces of at most 64 KiB, and are whole."""
        told = message(body=b"x" * 100_000)
        pieces = self.pieces(told.content)
        self.assertEqual([len(piece) for piece in pieces[1:]], [65536, 34464])
        self.assertEqual(sum(map(len, pieces)), told.content.size)
        head = self.successResultOf(Deferred.fromCoroutine(told.content.head(10)))
        self.assertEqual((head, pieces[0][:10]), (b"From: a@on", b"From: a@on"))
        self.assertNotIn(b"Received", pieces[0])
        other = attrs.evolve(told, body=OctetContent(b""))
        self.assertEqual(len(self.pieces(other.content)), 1)

    def test_foreign_content(self) -> None:
        """A filter's new body may be any `IContent`, such as one whose pieces are no generator."""

        class Pieces:
            def __init__(self) -> None:
                self.left = [b"one", b"two"]

            def __aiter__(self) -> Pieces:
                return self

            async def __anext__(self) -> bytes:
                if not self.left:
                    raise StopAsyncIteration
                return self.left.pop(0)

        @implementer(IContent)
        class Foreign:
            size = 6

            def chunks(self) -> Pieces:
                return Pieces()

            async def head(self, limit: int) -> bytes:
                return b"onetwo"[:limit]

        self.assertEqual(self.pieces(attrs.evolve(message(), body=Foreign()).content)[1:], [b"one", b"two"])


class TurnTests(ChainCase):
    """No client takes a filter for itself."""

    def test_shares(self) -> None:
        """Of one client (of a whole /64) so many messages are judged at a time; its others wait in order, those of others don't."""
        answers: list[Deferred[Answer]] = []
        chain = FilterChain(
            [ConfiguredFilter(Filter(name="f1", kind="double"), _Waiting(answers), 60.0)], self.sink, self.clock
        )
        judging = []
        for number in range(AT_A_TIME + 10):
            address = ip_address(f"2001:db8:0:1::{number:x}")
            client = attrs.evolve(message().client, address=address)
            judging.append(Deferred.fromCoroutine(chain.judge(message(client=client, mid=number))))
        self.assertEqual(len(answers), AT_A_TIME)
        other = Deferred.fromCoroutine(chain.judge(message()))
        self.assertEqual(len(answers), AT_A_TIME + 1)
        answers[AT_A_TIME].callback(Accept())
        self.successResultOf(other)
        judging[-1].cancel()
        self.failureResultOf(judging[-1], CancelledError)
        answers[0].callback(Accept())
        self.assertEqual(len(answers), AT_A_TIME + 2)
        while any(not each.called for each in answers):
            for each in list(answers):
                if not each.called:
                    each.callback(Accept())
        for each in judging[:-1]:
            self.successResultOf(each)
        self.assertEqual(chain._turns._by_client, {})


@implementer(IMessageFilter)
class _Waiting:
    """Answers when its test says so."""

    def __init__(self, answers: list[Deferred[Answer]]) -> None:
        self._answers = answers

    def judge(self, message: FilteredMessage) -> Deferred[Answer]:
        """See `IMessageFilter.judge`."""
        answer: Deferred[Answer] = Deferred()
        self._answers.append(answer)
        return answer
