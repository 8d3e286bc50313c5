"""Reports in the languages of the sender, and an operator's own texts."""

from __future__ import annotations

import shutil
import tempfile
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from seg.config.find import shipped_folder
from seg.config.schema import DoubleBounces, QueueSettings
from seg.dsn.composer import ReportComposer
from seg.dsn.languages import FOLDER, LanguageError, Languages, available, parse_language
from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed, Delivered, DSNAction
from seg.mail.status import status_text

CONTENT = b"From: <alice@sender.example>\r\nSubject: figures\r\n\r\nThe figures.\r\n"
REASON = "mx.to.example does not satisfy the TLS policy (mta-sts) of to.example: certificate has expired"
FIRST_WORDS = {
    "de": "Dies ist das Mailsystem auf gw.example.",
    "en": "This is the mail system at gw.example.",
    "es": "Este es el sistema de correo de gw.example.",
    "fr": "Ceci est le système de messagerie de gw.example.",
    "ja": "gw.example のメールシステムです。",
}


def shipped(name: str) -> str:
    """The text of a shipped file."""
    return (shipped_folder() / FOLDER / f"{name}.toml").read_text("utf-8")


class LanguageTests(SynchronousTestCase):
    """Reports composed in each language."""

    def setUp(self) -> None:
        self.settings = QueueSettings()
        self.complaints: list[str] = []
        self.folder = Path(tempfile.mkdtemp(prefix="seg-reports-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.composer = ReportComposer(
            "gw.example",
            "postmaster@gw.example",
            lambda: 1_700_000_000.0,
            Languages(self.folder, self.complaints.append),
            lambda domain, listener: self.settings,
        )

    def report(self, action: DSNAction = DSNAction.FAILED, sender: str = "alice@sender.example") -> EmailMessage | None:
        """A report on one recipient, as a mail program reads it."""
        envelope = Envelope(7, sender, (Recipient(0, "bob@to.example"),), 1.0, size=len(CONTENT))
        outcome = {
            DSNAction.FAILED: Bounced(Permanent("5.4.7", REASON, cause=CauseKind.CERTIFICATE_EXPIRED), 3),
            DSNAction.DELAYED: Delayed(
                Temporary("4.7.5", REASON, cause=CauseKind.CERTIFICATE_EXPIRED), 3, host="mx.to.example"
            ),
            DSNAction.RELAYED: Delivered(3, "2.0.0 queued"),
        }[action]
        made = self.composer.compose(action, envelope, [(0, outcome)], CONTENT, 8, 1_700_100_000.0)
        if made is None:
            return None
        self.assertTrue(made[1].isascii())
        self.assertLessEqual(max(map(len, made[1].split(b"\r\n"))), 200)
        self.made = made
        return cast(EmailMessage, message_from_bytes(made[1], policy=default))

    def text(self, message: EmailMessage | None) -> str:
        """The part for people."""
        assert message is not None
        part = cast(EmailMessage, next(iter(message.iter_parts())))
        self.assertEqual((message.defects, part.defects), ([], []))
        return str(part.get_content())

    def test_each_language(self) -> None:
        """Every kind of report in every language: well-formed, with its words, the reason and the recipient."""
        self.assertEqual(available(), sorted(FIRST_WORDS))
        for name, words in FIRST_WORDS.items():
            self.settings = QueueSettings(report_languages=(name,))
            for action in DSNAction:
                message = self.report(action)
                assert message is not None
                text = self.text(message)
                self.assertIn(words, text)
                self.assertIn("bob@to.example", text)
                self.assertNotIn("{", text)
                language = parse_language(shipped(name), name)
                self.assertEqual(message["Subject"], language.text("subject", action))
                part = cast(EmailMessage, next(iter(message.iter_parts())))
                self.assertEqual(part["Content-Language"], name)
                if action is not DSNAction.RELAYED:
                    self.assertIn("certificate", text)
        self.assertEqual(self.complaints, [])

    def test_several(self) -> None:
        """Several languages stand one below the other, with the operator's note at the end of a failed report."""
        self.settings = QueueSettings(report_languages=("de", "en"), report_note="Helpdesk: +49 30 1234")
        text = self.text(self.report())
        self.assertLess(text.index("Dies ist"), text.index("This is"))
        self.assertTrue(text.rstrip().endswith("Helpdesk: +49 30 1234"))
        self.assertNotIn("Helpdesk", self.text(self.report(DSNAction.DELAYED)))

    def test_own_texts(self) -> None:
        """An operator's file goes before the shipped one, and one for a new language is found."""
        (self.folder / "en.toml").write_text(
            shipped("en").replace("This is the mail system", "Greetings from the mail")
        )
        self.assertIn("Greetings from the mail at gw.example", self.text(self.report()))
        (self.folder / "tlh.toml").write_text(shipped("en").replace('language = "en"', 'language = "tlh"'))
        self.settings = QueueSettings(report_languages=("tlh",))
        self.text(self.report())
        self.assertIn("tlh", available(self.folder))
        self.assertEqual(self.complaints, [])

    def test_broken_file(self) -> None:
        """A file with faults is told of, each with its key, and the shipped one is used; an unknown language is English."""
        (self.folder / "en.toml").write_text(
            shipped("en").replace("{hostname}", "{host}").replace('codes = ["5."]', 'codes = ["4."]')
        )
        self.assertIn("This is the mail system", self.text(self.report()))
        self.assertIn("[opening] system: {host} isn't filled in there; what is: {hostname}", self.complaints[0])
        self.assertEqual(len(self.complaints), 3)
        (self.folder / "fr.toml").write_bytes(b"\xff")
        self.settings = QueueSettings(report_languages=("fr", "xx"))
        self.assertIn("Ceci est", self.text(self.report()))
        self.assertIn("no reports in the language 'xx'", self.complaints[-1])

    def test_faults(self) -> None:
        """What a file must not be."""
        good = shipped("en")
        for text, problem in (
            ("", "[subject] failed: wants a text in one line"),
            ("[", "not valid TOML"),
            (good.replace("width = 72", "width = 5"), "width wants a number from 20 to 76"),
            (good.replace('language = "en"', 'language = "English!"'), "language wants a tag"),
            (good.replace("{recipients}", "{recipients"), "[opening] failed: "),
            (good.replace('codes = ["5.2.2"]', 'codes = "5.2.2"'), "[[status]] number 4: wants codes"),
        ):
            error = self.assertRaises(LanguageError, parse_language, text, "x.toml")
            self.assertIn(f"x.toml: {problem}", " ".join(error.problems))

    def test_every_status(self) -> None:
        """Whatever the status, something is said of it."""
        language = parse_language(shipped("de"), "de")
        for enhanced in ("5.0.0", "5.1.1", "5.1.10", "5.7.30", "5.999.999"):
            self.assertTrue(language.status(enhanced).advice)
        self.assertTrue(status_text("5.1.1"))

    def test_double_bounce(self) -> None:
        """A report that failed goes to the postmaster if the operator wants it, marked so that it ends there."""
        self.assertIsNone(self.report(sender=""))
        self.settings = QueueSettings(double_bounces=DoubleBounces.POSTMASTER)
        message = self.report(sender="")
        assert message is not None
        self.assertEqual(message["To"], "postmaster@gw.example")
        letter = self.made[0]
        self.assertEqual((letter.reverse_path, letter.envid, letter.double_bounce), ("", "", True))
        self.assertEqual(letter.recipients[0].notify, frozenset())
        self.assertIsNone(self.report(DSNAction.DELAYED, sender=""))
