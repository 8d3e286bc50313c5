"""What is told of a watched dialogue, and what is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.deliver.debug_peers import LONGEST_LINE, MOST_DOMAINS, MOST_LINES, DebugPeers, DialogueLog
from seg.events.delivery import DialogueLine
from seg.smtp.reply import Phase
from tests.doubles import RecordingSink


class TapTests(SynchronousTestCase):
    """One connection."""

    def setUp(self) -> None:
        """A tap and what it told."""
        self.sink = RecordingSink()
        self.tap = DialogueLog(7, "a.example", self.sink)

    def told(self) -> list[str]:
        """``C: EHLO x`` and so on."""
        return [f"{e.who}: {e.text}" for e in self.sink.events if isinstance(e, DialogueLine)]

    def test_dialogue(self) -> None:
        """Line by line, however the octets are cut; commands sent together are lines of their own."""
        self.tap.received(b"220 mx.a.example ES", Phase.GREETING)
        self.tap.received(b"MTP\r\n", Phase.GREETING)
        self.tap.sent(b"EHLO gw.example\r\n", Phase.EHLO)
        self.tap.received(b"250-mx.a.example\r\n250 SIZE\r\n", Phase.EHLO)
        self.tap.sent(b"MAIL FROM:<>\r\nRCPT TO:<b@a.example>\r\nDATA\r\n", Phase.MAIL)
        self.tap.note("(TLS from here on)")
        self.assertEqual(
            self.told(),
            [
                "S: 220 mx.a.example ESMTP",
                "C: EHLO gw.example",
                "S: 250-mx.a.example",
                "S: 250 SIZE",
                "C: MAIL FROM:<>",
                "C: RCPT TO:<b@a.example>",
                "C: DATA",
                "C: (TLS from here on)",
            ],
        )

    def test_secrets(self) -> None:
        """What AUTH carries stays out, both ways; its result doesn't."""
        self.tap.sent(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", Phase.AUTH)
        self.tap.sent(b"AUTH LOGIN\r\n", Phase.AUTH)
        self.tap.received(b"334 VXNlcm5hbWU6\r\n", Phase.AUTH)
        self.tap.sent(b"YWxpY2U=\r\n", Phase.AUTH)
        self.tap.received(b"535 5.7.8 No\r\n", Phase.AUTH)
        self.assertEqual(
            self.told(),
            ["C: AUTH PLAIN ***", "C: AUTH LOGIN ***", "S: 334 ***", "C: ***", "S: 535 5.7.8 No"],
        )

    def test_long_lines(self) -> None:
        """A server that never ends its line costs no more than what is shown of it."""
        for _ in range(100):
            self.tap.received(b"2" * 1000, Phase.EHLO)
        self.assertEqual(len(self.tap._begun), LONGEST_LINE)
        self.tap.received(b"\xff\n", Phase.EHLO)
        self.assertEqual(self.told(), ["S: " + "2" * LONGEST_LINE + "..."])

    def test_lines_without_end(self) -> None:
        """However many lines a server says, so many are told, and that there were more."""
        for _ in range(3):
            self.tap.received(b"\n" * 65536, Phase.EHLO)
        told = self.told()
        self.assertEqual(len(told), MOST_LINES + 1)
        self.assertIn("not shown", told[-1])

    @given(st.binary(max_size=200), st.integers(1, 50))
    def test_cut(self, data: bytes, size: int) -> None:
        """The lines don't depend on how the octets are cut."""
        whole, cut = RecordingSink(), RecordingSink()
        DialogueLog(1, "a.example", whole).received(data, Phase.EHLO)
        tap = DialogueLog(1, "a.example", cut)
        for start in range(0, len(data), size):
            tap.received(data[start : start + size], Phase.EHLO)
        self.assertEqual(whole.events, cut.events)


class DialoguesTests(SynchronousTestCase):
    """Which destinations are watched."""

    def test_sessions(self) -> None:
        """So many sessions as were asked for, of this domain only; 0 ends it."""
        dialogues, sink = DebugPeers(), RecordingSink()
        self.assertFalse(dialogues.wanted("a.example"))
        dialogues.watch("a.example", 2)
        self.assertIsNone(dialogues.tap(1, "b.example", sink))
        self.assertEqual([dialogues.tap(n, "a.example", sink) is not None for n in (2, 3, 4)], [True, True, False])
        self.assertEqual(dialogues.watched(), {})
        dialogues.watch("a.example", 5)
        self.assertEqual(dialogues.watched(), {"a.example": 5})
        dialogues.watch("a.example", 0)
        self.assertFalse(dialogues.wanted("a.example"))

    def test_bounded(self) -> None:
        """No more domains than fit; one that is watched may be changed."""
        dialogues = DebugPeers()
        for number in range(MOST_DOMAINS):
            dialogues.watch(f"{number}.example", 1)
        self.assertRaises(ValueError, dialogues.watch, "more.example", 1)
        dialogues.watch("1.example", 9)
        self.assertEqual(dialogues.watched()["1.example"], 9)
