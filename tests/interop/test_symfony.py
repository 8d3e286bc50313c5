"""Symfony's mailer, which speaks SMTP to a server, and to sendmail by ``-bs`` unless it is told otherwise."""

from __future__ import annotations

import json
from urllib.parse import quote

from tests.interop.base import (
    ATTACHMENT,
    IDN,
    IDN_ASCII,
    NO_SUCH_USER,
    PASSWORD,
    RECIPIENT,
    SENDER,
    UNKNOWN,
    UTF8_BODY,
    Done,
    ProgramCase,
)
from tests.programs import optional_program

AUTOLOAD = "/usr/share/php/Symfony/Component/Mailer/autoload.php"
SCRIPT = f"""\
<?php
require "{AUTOLOAD}";
$o = json_decode(stream_get_contents(STDIN), true);
try {{
    $transport = Symfony\\Component\\Mailer\\Transport::fromDsn($o["dsn"]);
    if ($o["ca"]) $transport->getStream()->setStreamOptions(["ssl" => ["cafile" => $o["ca"]]]);
    $message = (new Symfony\\Component\\Mime\\Email())->from($o["from"])->to($o["to"])->bcc("eve@receiver.example");
    $message->subject("Grüße")->text($o["text"])->attachFromPath($o["attachment"]);
    echo "sent " . $transport->send($message)->getMessageId();
}} catch (Exception $error) {{
    echo $error->getMessage();
    exit(1);
}}
"""


class SymfonyTests(ProgramCase):
    """Symfony's mailer."""

    async def test_messages(self) -> None:
        """What it makes arrives by each of its ways, and it is told what is refused."""
        php = optional_program("php", "-r", "echo 'here';", package="php-cli", shows="here")
        optional_program(
            "php", "-r", f"echo is_file('{AUTOLOAD}') ? 'y' : 'n';", package="php-symfony-mailer", shows="y"
        )
        script, attachment = self.file("send.php", SCRIPT), self.file("octets.bin", ATTACHMENT)
        user = f"{quote(SENDER)}:{quote(PASSWORD)}@localhost"
        sendmail = f"sendmail://default?command={quote(self.sendmail())}%20"
        ways = (
            (f"{sendmail}-bs", "nobody takes mail for"),
            (f"{sendmail}-t%20-i", "nobody takes mail for"),
            (f"smtp://localhost:{self.relay}", NO_SUCH_USER),
            (f"smtp://{user}:{self.submission}", NO_SUCH_USER),
            (f"smtps://{user}:{self.submissions}", NO_SUCH_USER),
        )

        async def send(dsn: str, recipient: str) -> Done:
            ca = "" if dsn.startswith("sendmail") else str(self.ca)
            options = {
                "dsn": dsn,
                "ca": ca,
                "from": SENDER,
                "to": recipient,
                "text": UTF8_BODY,
                "attachment": str(attachment),
            }
            return await self.run_program(php, str(script), stdin=json.dumps(options).encode())

        for dsn, words in ways:
            done = await send(dsn, RECIPIENT)
            self.assertEqual(done.status, 0, f"{dsn} {done}")
            message = await self.parsed_arrives(recipients=(RECIPIENT, "eve@receiver.example"))
            self.assertIsNone(message["Bcc"])
            self.has_attachment(message)
            done = await send(dsn, UNKNOWN)
            self.assertEqual(done.status, 1, f"{dsn} {done}")
            self.assertIn(words, done.output)
            self.assertNotIn("on the wire", done.output)
        done = await send(ways[-1][0], f"bob@{IDN}")
        self.assertEqual(done.status, 0, done)
        arrived = {(await self.next_message()).recipients for _ in range(2)}
        self.assertEqual(arrived, {(f"bob@{IDN_ASCII}",), ("eve@receiver.example",)})
        await self.authenticated(*["LOGIN"] * 5)
