"""Refusals that real providers and servers document or give, and what becomes of the recipients then.

The texts are shortened: no decision hangs on them, which a test shows. What the words of a row's last part mean:

- `WAITS`: a later attempt may succeed;
- `RETURNED`: the sender has it back;
- `SPLIT`: the recipient goes in a transaction of its own, at once;
- `SESSION`: another host, or a new connection: neither sender, recipient nor message was judged;
- `COMMAND`: without the extension, or in another order: the same message may be taken.
"""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import DSNNotify, Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.smtp.client_capabilities import parse_capabilities
from seg.smtp.client_transaction import MailTransaction
from seg.smtp.reply import Reply, TooManyRecipients
from seg.smtp.verdicts import Circumstance, Phase, ReplyVerdict, verdict_on

GREETING, EHLO, STARTTLS, AUTH = Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH
MAIL, RCPT, DATA, CONTENT = Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT
WAITS, RETURNED, SPLIT = ReplyVerdict.WAITS, ReplyVerdict.RETURNED, ReplyVerdict.SPLIT
SESSION, COMMAND = ReplyVerdict.SESSION, ReplyVerdict.COMMAND
Row = tuple[str, Phase, str, ReplyVerdict]

REPLIES: tuple[Row, ...] = (
    # Documented by Google for Gmail.
    ("Gmail", MAIL, "421 4.3.0 Temporary System Problem", SESSION),
    ("Gmail", GREETING, "421 4.4.5 Server busy", SESSION),
    ("Gmail", RCPT, "421 4.7.0 IP not in whitelist for RCPT domain, closing connection", SESSION),
    ("Gmail", RCPT, "421 4.7.0 TLS required for RCPT domain, closing connection", SESSION),
    ("Gmail", CONTENT, "421 4.7.0 unusual rate of unsolicited mail", SESSION),
    ("Gmail", RCPT, "450 4.2.1 user is receiving mail too quickly", WAITS),
    ("Gmail", CONTENT, "451 4.3.0 Mail server temporarily rejected message", WAITS),
    ("Gmail", RCPT, "451 4.3.0 Multiple destination domains per transaction is unsupported", WAITS),
    ("Gmail", CONTENT, "451 4.4.2 Timeout - closing connection", WAITS),
    ("Gmail", MAIL, "451 4.5.0 SMTP protocol violation", WAITS),
    ("Gmail", RCPT, "452 4.2.2 over quota", WAITS),
    ("Gmail", RCPT, "452 4.5.3 Domain policy size per transaction exceeded", SPLIT),
    ("Gmail", RCPT, "452 4.5.3 too many recipients", SPLIT),
    ("Gmail", STARTTLS, "454 4.5.0 no commands allowed to pipeline after STARTTLS", SESSION),
    ("Gmail", AUTH, "454 4.7.0 Cannot authenticate due to temporary system problem", SESSION),
    ("Gmail", MAIL, "502 5.5.1 Too many unrecognized commands, goodbye", COMMAND),
    ("Gmail", MAIL, "503 5.5.1 EHLO/HELO first", COMMAND),
    ("Gmail", MAIL, "530 5.5.1 Authentication Required", SESSION),
    ("Gmail", MAIL, "530 5.7.0 Must issue a STARTTLS command first", SESSION),
    ("Gmail", AUTH, "535 5.7.8 Username and Password not accepted", SESSION),
    ("Gmail", RCPT, "550 5.1.1 account does not exist", RETURNED),
    ("Gmail", RCPT, "550 5.2.1 account is disabled", RETURNED),
    ("Gmail", CONTENT, "550 5.7.26 unauthenticated mail", RETURNED),
    ("Gmail", RCPT, "550 5.7.1 Email quota exceeded", RETURNED),
    ("Gmail", RCPT, "552 5.2.2 over quota", RETURNED),
    ("Gmail", MAIL, "552 5.3.4 message exceeded size limits", RETURNED),
    ("Gmail", RCPT, "553 5.1.2 unable to find the recipient domain", RETURNED),
    ("Gmail", CONTENT, "554 5.6.0 Mail message is malformed", RETURNED),
    ("Gmail", RCPT, "555 5.5.2 Syntax error, goodbye", RETURNED),
    # Documented by Microsoft for Exchange and Exchange Online.
    ("Exchange Online", GREETING, "421 4.3.2 number of concurrent connections has exceeded a limit", SESSION),
    ("Exchange", CONTENT, "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", WAITS),
    ("Exchange", MAIL, "452 4.3.1 Insufficient system resources", WAITS),
    ("Exchange", RCPT, "452 4.5.3 Too many recipients", SPLIT),
    ("Exchange Online", RCPT, "451 4.7.500 Server busy", WAITS),
    ("Exchange Online", CONTENT, "451 4.7.0 Temporary server error", WAITS),
    ("Exchange Online", RCPT, "451 4.4.62 Mail sent to the wrong Office 365 region", WAITS),
    ("Exchange", EHLO, "501 5.5.4 Invalid domain name", SESSION),
    ("Exchange", MAIL, "530 5.7.57 Client was not authenticated to send anonymous mail", SESSION),
    ("Exchange Online", RCPT, "550 5.4.1 Recipient address rejected: Access denied", RETURNED),
    ("Exchange Online", CONTENT, "554 5.4.14 Hop count exceeded", RETURNED),
    ("Exchange Online", RCPT, "550 5.7.1 Service unavailable, Client host blocked", RETURNED),
    ("Outlook", MAIL, "550 5.7.1 part of their network is on our block list (S3150)", RETURNED),
    ("Hotmail", MAIL, "550 SC-001 messages weren't sent", RETURNED),
    # Yahoo, United Internet, Comcast, Mimecast, Sina, by their pages for postmasters.
    ("Yahoo", GREETING, "421 4.7.0 [TSS04] Messages temporarily deferred", SESSION),
    ("Yahoo", MAIL, "421 4.7.1 Messages permanently deferred", SESSION),
    ("Yahoo", MAIL, "421 Max message per connection reached, closing transmission channel", SESSION),
    ("Yahoo", RCPT, "450 User is receiving mail too quickly", WAITS),
    ("Yahoo", CONTENT, "451 Resources temporarily unavailable", WAITS),
    ("Yahoo", RCPT, "452 temporary domain failure", WAITS),
    ("Yahoo", GREETING, "553 5.7.1 Connections will not be accepted", SESSION),
    ("United Internet", GREETING, "554 Nemesis ESMTP Service not available", SESSION),
    ("United Internet", RCPT, "421 Rate limit reached", SESSION),
    ("United Internet", MAIL, "450 Reject due to policy violations", WAITS),
    ("United Internet", MAIL, "501 Syntax error in parameters or arguments", RETURNED),
    ("United Internet", RCPT, "550 Requested action not taken: mailbox unavailable", RETURNED),
    ("Comcast", GREETING, "421 Too many sessions opened", SESSION),
    ("Mimecast", RCPT, "451 Internal resource temporarily unavailable", WAITS),
    ("Sina", RCPT, "451 out of allow RCPT numbers", WAITS),
    ("Sina", MAIL, "502 please say MAIL first", COMMAND),
    ("Sina", CONTENT, "552 message is too long", RETURNED),
    ("Sina", MAIL, "555 helohost error", RETURNED),
    ("Sina", MAIL, "556 remote ip check error", RETURNED),
    # Server programs.
    ("Postfix", RCPT, "450 4.7.1 Client host rejected: cannot find your reverse hostname", WAITS),
    ("Postfix", RCPT, "450 4.2.0 Recipient address rejected: Greylisted", WAITS),
    ("Postfix", RCPT, "452 4.5.3 Error: too many recipients", SPLIT),
    ("Postfix", DATA, "554 5.5.1 Error: no valid recipients", COMMAND),
    ("Postfix", RCPT, "503 5.5.1 Error: need MAIL command", COMMAND),
    ("Postfix", MAIL, "500 5.5.2 Error: bad syntax", COMMAND),
    ("Postfix", CONTENT, "554 5.4.0 Error: too many hops", RETURNED),
    ("Postfix", RCPT, "554 5.7.1 Relay access denied", RETURNED),
    ("Postfix", RCPT, "550 5.1.8 Sender address rejected: Domain not found", RETURNED),
    ("Haraka", RCPT, "450 4.5.3 too many recipients", SPLIT),
    ("qmail", CONTENT, "451 qq trouble in home directory", WAITS),
    ("a milter", RCPT, "422 4.2.2 Quota limit exceeded", WAITS),
    ("a milter", CONTENT, "571 5.7.1 message classified as spam", RETURNED),
    # What the extensions say.
    ("RFC 7504", GREETING, "521 Server does not accept mail", SESSION),
    ("RFC 7504", RCPT, "556 5.1.10 Recipient address has null MX", RETURNED),
    ("RFC 5248", MAIL, "523 5.7.10 Encryption Needed", SESSION),
    ("RFC 4954", MAIL, "538 5.7.11 Encryption required for requested authentication mechanism", SESSION),
    ("RFC 3207", STARTTLS, "454 4.7.0 TLS not available due to temporary reason", SESSION),
    ("RFC 3030", CONTENT, "502 5.5.1 BDAT not implemented", COMMAND),
    ("RFC 3030", CONTENT, "503 5.5.1 bad sequence: BDAT", COMMAND),
    ("RFC 3030", CONTENT, "552 5.3.4 chunk and message too large", RETURNED),
    ("RFC 3030", CONTENT, "554 5.6.3 conversion required but not supported", RETURNED),
    ("RFC 6531", MAIL, "550 5.6.7 non-ASCII addresses not permitted", RETURNED),
    ("RFC 8689", MAIL, "550 5.7.30 REQUIRETLS support required", RETURNED),
)


def parsed(text: str) -> Reply:
    """The reply of one line."""
    return Reply(int(text[:3]), (text[4:],))


class RealReplyTests(SynchronousTestCase):
    """`verdict_on` and `Reply.to_error`, against what is said elsewhere."""

    def test_verdicts(self) -> None:
        """Each has the verdict that its code, enhanced code and phase have."""
        self.assertGreaterEqual(len(REPLIES), 60)
        self.assertEqual({verdict for *_, verdict in REPLIES}, set(ReplyVerdict))
        self.assertEqual([name for name, count in Counter(map(repr, REPLIES)).items() if count > 1], [])
        for who, phase, text, verdict in REPLIES:
            with self.subTest(f"{who}, {phase.value}: {text}"):
                reply = parsed(text)
                self.assertIs(verdict_on(phase, reply.code, reply.enhanced[2:]), verdict)
                error = reply.to_error(phase)
                self.assertEqual(isinstance(error, Permanent), verdict is RETURNED)
                self.assertEqual(isinstance(error, TooManyRecipients), verdict is SPLIT)

    def test_words_decide_nothing(self) -> None:
        """Each has the same outcome with other words, also those that sound like another verdict."""
        for who, phase, text, _ in REPLIES:
            reply = parsed(text)
            for words in ("", "Too many recipients", "try again later", "STARTTLS first", "User unknown"):
                with self.subTest(f"{who}, {phase.value}: {text}", words=words):
                    shown = f"{reply.enhanced} {words}" if reply.enhanced else words
                    other, said = Reply(reply.code, (shown,)).to_error(phase), reply.to_error(phase)
                    self.assertEqual((type(other), other.enhanced), (type(said), said.enhanced))

    def test_many_with_others_accepted(self) -> None:
        """452 and 552 without an enhanced code split a transaction of which others were accepted, and are a verdict else."""
        accepted = frozenset({Circumstance.SOME_ACCEPTED})
        for who, phase, text, verdict in REPLIES:
            reply = parsed(text)
            expected = SPLIT if phase is RCPT and reply.code in (452, 552) and not reply.enhanced else verdict
            with self.subTest(f"{who}, {phase.value}: {text}"):
                self.assertIs(verdict_on(phase, reply.code, reply.enhanced[2:], accepted), expected)


class ParameterTests(SynchronousTestCase):
    """555 says that a parameter isn't known (RFC 5321 §4.1.1.11): of a command that had none it judges the address."""

    def refused(self, text: str, phase: Phase, *offered: str) -> Temporary | Permanent:
        """What becomes of a recipient when this is said to MAIL or RCPT, by a server that offers these extensions."""
        recipient = Recipient(rid=0, address="bob@receiver.example", notify=frozenset({DSNNotify.FAILURE}))
        envelope = Envelope(1, "alice@sender.example", (recipient,), 0.0)
        transaction = MailTransaction(envelope, (recipient,), 100, parse_capabilities(Reply(250, ("mx", *offered))))
        if transaction.mail_answered(parsed(text) if phase is MAIL else parsed("250 2.1.0 ok")):
            transaction.rcpt_answered(parsed(text))
        result = transaction.results[0]
        assert isinstance(result, Temporary | Permanent)
        return result

    def test_with_and_without(self) -> None:
        """Mail waits where the command had parameters, as another host or a later EHLO may know them; else it is returned."""
        for text in ("555 5.5.2 Syntax error", "555 5.5.4 Unsupported option", "555 no"):
            for phase, offered in ((MAIL, "SIZE"), (RCPT, "DSN")):
                with self.subTest(text, phase=phase):
                    self.assertIsInstance(self.refused(text, phase, offered), Temporary)
                    self.assertIsInstance(self.refused(text, phase), Permanent)
