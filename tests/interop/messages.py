"""Messages that careless software changes, and how they are handed in."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

from twisted.internet.threads import deferToThread

_LAST = b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\n"
HEADER = b"X-Start: here\r\nFrom: <alice@sender.example>\r\nTo: <bob@receiver.example>\r\nSubject: x\r\n" + _LAST
UTF8 = "jürgen"  # a local part
MESSAGES = {
    "plain": HEADER + b"\r\nplain text\r\n",
    "dsn": HEADER + b"\r\nwith parameters\r\n",
    "eight": HEADER + b"\r\nna\xefve caf\xe9 \xff\xfe\r\n",
    "dots": HEADER + b"\r\n.\r\n..\r\n...\r\n.a\r\n. \r\nend.\r\n.",
    "octets998": HEADER + b"\r\n" + b"x" * 998 + b"\r\n",
    "longer": HEADER + b"\r\n" + b"y" * 20000 + b"\r\n" + b"z" * 3000 + b"\r\n",
    "field": HEADER + b"X-Long: " + b"a" * 1500 + b"\r\n\r\nfolded by nobody\r\n",
    "nothing": b"\r\n",
    "headonly": HEADER + b"\r\n",
    "blanks": HEADER + b"\r\n\r\n\r\n  \t\r\n\r\n",
    "from": HEADER + b"\r\nFrom the beginning\r\n>From there\r\n",
    "utf8": HEADER + "Comments: Grüße\r\n\r\nüber\r\n".encode(),
    "controls": HEADER + b"\r\n\x01\x07\x08\x1b[31m\x7f\x0c\x0b\r\n",
    "large": HEADER + b"\r\n" + (b"z" * 70 + b"\r\n") * 14_000,
    "huge": HEADER + b"\r\n" + (b".z" * 35 + b"\r\n") * 290_000,
}
MESSAGES["dots"] += b"\r\n"


async def hand_in(
    port: int, sender: str, recipient: str, content: bytes, options: Sequence[str] = (), parameters: str = ""
) -> None:
    """Give a message to the gateway.

    :param options: of MAIL; `parameters`: of RCPT.
    """

    def talk() -> None:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=30) as client:
            client.ehlo()
            client.command_encoding = "utf-8"
            for code, text in (
                client.mail(sender, list(options)),
                client.rcpt(recipient, [parameters] if parameters else []),
                client.data(content),
            ):
                if code != 250:
                    raise AssertionError(f"{code} {text!r}")

    await deferToThread(talk)
