"""Arguments of commands are taken apart, or refused with the right code."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import BodyType, DSNNotify, DSNRet
from seg.smtp.commands import (
    BdatCommand,
    CommandError,
    MailArguments,
    RcptArguments,
    parse_bdat,
    parse_greeting,
    parse_mail,
    parse_rcpt,
    split,
)


class CommandTests(SynchronousTestCase):
    """`seg.smtp.commands`."""

    def refusal(self, parse: object, argument: str) -> tuple[int, str]:
        error = self.assertRaises(CommandError, parse, argument)
        return error.reply.code, error.reply.enhanced

    def test_split(self) -> None:
        """The verb may be in any case; white space at the end is dropped."""
        self.assertEqual(split("mail FROM:<>  "), ("MAIL", "FROM:<>"))
        self.assertEqual(split("QUIT"), ("QUIT", ""))
        self.assertEqual(split("MAIL   FROM:<>"), ("MAIL", "FROM:<>"))
        self.assertEqual(split(""), ("", ""))

    def test_mail(self) -> None:
        """SIZE and BODY are understood, in any case and order; a space behind the colon is forgiven."""
        eight = BodyType.EIGHT_BIT
        for argument, wanted in [
            ("FROM:<>", MailArguments("")),
            ("from:<a@b.test>", MailArguments("a@b.test")),
            ("FROM: <a@b.test>", MailArguments("a@b.test")),
            ("FROM:<a@b.test> SIZE=100", MailArguments("a@b.test", 100)),
            ("FROM:<a@b.test> size=100 body=8bitmime", MailArguments("a@b.test", 100, eight)),
            ("FROM:<a@b.test> BODY=7BIT  SIZE=0", MailArguments("a@b.test")),
            ("FROM:<ä@ö.test> smtputf8", MailArguments("ä@ö.test", smtputf8=True)),
            ("FROM:<> SMTPUTF8", MailArguments("", smtputf8=True)),
            ("FROM:<> RET=hdrs ENVID=QQ+2B1", MailArguments("", ret=DSNRet.HEADERS, envid="QQ+2B1")),
            ("FROM:<> REQUIRETLS RET=FULL", MailArguments("", ret=DSNRet.FULL, requiretls=True)),
            ('FROM:<"a> SIZE=9"@b.test> SIZE=1', MailArguments('"a> SIZE=9"@b.test', 1)),
        ]:
            self.assertEqual(parse_mail(argument), wanted, argument)

    def test_mail_refused(self) -> None:
        """501 5.1.7 for a bad path, 501 5.5.4 for a malformed parameter, 555 5.5.4 for an unknown one."""
        for argument, wanted in [
            ("", (501, "5.5.4")),
            ("TO:<a@b.test>", (501, "5.5.4")),
            ("FROM :<a@b.test>", (501, "5.5.4")),
            ("FROM:a@b.test", (501, "5.1.7")),
            ("FROM:<a@b.test>SIZE=1", (501, "5.5.4")),
            ("FROM:<a@b.test> SIZE", (501, "5.5.4")),
            ("FROM:<a@b.test> SIZE=", (501, "5.5.4")),
            ("FROM:<a@b.test> SIZE=x", (501, "5.5.4")),
            ("FROM:<a@b.test> SIZE=-1", (501, "5.5.4")),
            (f"FROM:<a@b.test> SIZE={'9' * 21}", (501, "5.5.4")),
            ("FROM:<a@b.test> SIZE=1 SIZE=2", (501, "5.5.4")),
            ("FROM:<a@b.test> BODY", (501, "5.5.4")),
            ("FROM:<a@b.test> BODY=BINARYMIME", (501, "5.5.4")),
            ("FROM:<a@b.test> =x", (501, "5.5.4")),
            ("FROM:<a@b.test> -x", (501, "5.5.4")),
            ("FROM:<a@b.test> X=a=b", (501, "5.5.4")),
            ("FROM:<a@b.test> SMTPUTF8=1", (501, "5.5.4")),
            ("FROM:<ä@b.test>", (553, "5.6.7")),
            ("FROM:<a@ä.test> SIZE=1", (553, "5.6.7")),
            ("FROM:<a@b.test> SMTPUTF8 Ä=1", (501, "5.5.4")),
            ("FROM:<a@b.test> RET=ALL", (501, "5.5.4")),
            ("FROM:<a@b.test> ENVID=a+2", (501, "5.5.4")),
            ("FROM:<a@b.test> ENVID=" + "x" * 101, (501, "5.5.4")),
            ("FROM:<a@b.test> REQUIRETLS=1", (501, "5.5.4")),
            ("FROM:<a@b.test> BY=1", (555, "5.5.4")),
            ("FROM:<a@b.test> AUTH=c@b.test", (555, "5.5.4")),
        ]:
            self.assertEqual(self.refusal(parse_mail, argument), wanted, argument)

    def test_long_keyword(self) -> None:
        """The reply to an unknown parameter stays a reply line of at most 512 octets."""
        error = self.assertRaises(CommandError, parse_mail, f"FROM:<> {'X' * 540}")
        self.assertLess(len(error.reply.line), 512)

    def test_rcpt(self) -> None:
        """A recipient, or Postmaster; no parameter is known."""
        self.assertEqual(parse_rcpt("TO:<a@b.test>", False), RcptArguments("a@b.test"))
        self.assertEqual(parse_rcpt("to: <Postmaster>", False), RcptArguments("Postmaster"))
        self.assertEqual(parse_rcpt("TO:<ä@ö.test>", True), RcptArguments("ä@ö.test"))
        for argument, wanted in [
            ("TO:<>", (501, "5.1.3")),
            ("TO:<a@b.test.>", (501, "5.1.3")),
            ("FROM:<a@b.test>", (501, "5.5.4")),
            ("TO:<a@b.test> NOTIFY=NEVER,SUCCESS", (501, "5.5.4")),
            ("TO:<a@b.test> NOTIFY=SUCCESS,SUCCESS", (501, "5.5.4")),
            ("TO:<a@b.test> NOTIFY=SOON", (501, "5.5.4")),
            ("TO:<a@b.test> ORCPT=bob@b.test", (501, "5.5.4")),
            ("TO:<a@b.test> ORCPT=rfc822;bob+b.test", (501, "5.5.4")),
            ("TO:<a@b.test> ORCPT=rfc822;" + "x" * 500, (501, "5.5.4")),
            ("TO:<a@b.test> RRVS=1", (555, "5.5.4")),
            ("TO:<a@b.test> NOTIFY=", (501, "5.5.4")),
            ("TO:<a@b.test>,<c@d.test>", (501, "5.5.4")),
            ("TO:<ä@b.test>", (553, "5.6.7")),
        ]:
            self.assertEqual(self.refusal(lambda text: parse_rcpt(text, False), argument), wanted, argument)

    def test_notifications(self) -> None:
        """What the sender wants to hear of a recipient (RFC 3461 §4.1, §4.2)."""
        for parameters, wanted in (
            (" NOTIFY=NEVER", RcptArguments("a@b.test", frozenset())),
            (" notify=success,delay", RcptArguments("a@b.test", frozenset({DSNNotify.SUCCESS, DSNNotify.DELAY}))),
            (
                " NOTIFY=FAILURE ORCPT=rfc822;b+2Bc@d.test",
                RcptArguments("a@b.test", frozenset({DSNNotify.FAILURE}), "rfc822;b+2Bc@d.test"),
            ),
        ):
            self.assertEqual(parse_rcpt(f"TO:<a@b.test>{parameters}", False), wanted)

    def test_chunk(self) -> None:
        """A size, and whether it is the last one."""
        for argument, wanted in (
            ("0", BdatCommand(0, False)),
            ("100 LAST", BdatCommand(100, True)),
            ("7  last", BdatCommand(7, True)),
        ):
            self.assertEqual(parse_bdat(argument), wanted)
        for argument in ("", "x", "-1", "1 FIRST", "1LAST", "9" * 21, "1 LAST x", "+1", "1.0"):
            self.assertEqual(self.refusal(parse_bdat, argument), (501, "5.5.4"), argument)

    def test_greeting(self) -> None:
        """A client may call itself anything that is one printable word."""
        for name in ("client.test", "[192.0.2.1]", "my_host", "-"):
            self.assertEqual(parse_greeting(name), name)
        for name in ("", " ", "two words", "tab\tbed", "x" * 256, "\x1b[31m"):
            self.assertEqual(self.refusal(parse_greeting, name), (501, "5.5.4"))
