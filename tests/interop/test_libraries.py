"""Libraries that applications send mail with: smtplib, nodemailer, PHPMailer, PHP's mail(), Net::SMTP."""

from __future__ import annotations

import json
import sys

from tests.interop.base import (
    ATTACHMENT,
    BAD_PASSWORD,
    CLEAR,
    DOTS,
    IDN,
    IDN_ASCII,
    IMPLICIT,
    LOGIN,
    NO_SUCH_USER,
    OTHER,
    PASSWORD,
    PLAIN,
    RECIPIENT,
    SENDER,
    STARTTLS,
    TOO_BIG,
    TOO_LARGE,
    UNKNOWN,
    UTF8,
    UTF8_BODY,
    Done,
    ProgramCase,
    Way,
    crlf,
)
from tests.programs import fetched, optional_program

SMTPLIB = """\
import json, smtplib, ssl, sys
host, port, tls, mechanism, user, password, ca, sender, recipients, options = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile=ca)
try:
    if tls == "implicit":
        client = smtplib.SMTP_SSL(host, port, local_hostname="python.example", context=context)
    else:
        client = smtplib.SMTP(host, port, local_hostname="python.example")
    if tls == "starttls":
        client.starttls(context=context)
    if mechanism:
        client.ehlo_or_helo_if_needed()
        client.esmtp_features["auth"] = mechanism
        client.login(user, password)
    refused = client.sendmail(sender, recipients, sys.stdin.buffer.read(), options)
except smtplib.SMTPException as error:
    sys.exit(f"{type(error).__name__}: {error}")
client.quit()
sys.exit(str(refused) if refused else 0)
"""

NODEMAILER = """\
const nodemailer = require("nodemailer");
const options = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const transport = nodemailer.createTransport(options.transport);
transport.sendMail(options.message).then((info) => {
    console.log(JSON.stringify(info)); transport.close();
}).catch((error) => { console.log(error.code + " " + error.response + " " + error.message); process.exit(1); });
"""

PHPMAILER = """\
<?php
require "/usr/share/php/libphp-phpmailer/autoload.php";
$o = json_decode(stream_get_contents(STDIN), true);
$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
try {
    foreach ($o["properties"] as $name => $value) $mail->$name = $value;
    if ($o["ssl"]) $mail->SMTPOptions = ["ssl" => $o["ssl"]];
    $mail->setFrom($o["from"], "Älice");
    foreach ($o["to"] as $to) $mail->addAddress($to);
    foreach ($o["attachments"] as $path) $mail->addAttachment($path);
    $mail->send();
    echo "sent " . $mail->getSMTPInstance()->getLastTransactionID();
} catch (Exception $error) {
    echo $error->getMessage() . " " . $mail->ErrorInfo;
    exit(1);
}
"""


class SmtplibTests(ProgramCase):
    """Python's smtplib."""

    async def test_letters(self) -> None:
        """What smtplib is given arrives; an address beyond ASCII goes with SMTPUTF8."""

        async def send(
            way: Way, letter: bytes, recipients: tuple[str, ...], password: str, options: tuple[str, ...] = ()
        ) -> Done:
            choice = ("localhost", self.port(way), way.tls, way.mechanism, SENDER, password)
            arguments = json.dumps((*choice, str(self.ca), SENDER, recipients, options))
            return await self.run_program(sys.executable, "-c", SMTPLIB, arguments, stdin=crlf(letter))

        await self.exam(send, CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT, helo="python.example")
        for options, trace in ((("SMTPUTF8", "BODY=8BITMIME"), "UTF8SMTPSA"), (("BODY=8BITMIME",), "ESMTPSA")):
            recipient = f"bücherwurm@{IDN}" if "SMTPUTF8" in options else RECIPIENT
            done = await send(PLAIN, UTF8, (recipient,), PASSWORD, options)
            self.assertEqual(done.status, 0, done)
            message = await self.same_arrives(UTF8, recipients=(recipient,))
            self.assertIn(f" with {trace} id ", self.trace(message))
            self.assertIn("BODY=8BITMIME", message.mail_parameters)


class NodemailerTests(ProgramCase):
    """nodemailer for Node.js."""

    async def test_messages(self) -> None:
        """What nodemailer makes arrives; it reads the number of the message from the reply."""
        node = optional_program("node", "--version")
        modules = fetched("nodemailer", "node_modules")
        script = self.file("send.js", NODEMAILER)
        attachment = self.file("octets.bin", ATTACHMENT)

        async def send(way: Way, message: dict[str, object], password: str = PASSWORD) -> Done:
            transport: dict[str, object] = {
                "host": "localhost",
                "port": self.port(way),
                "secure": way.tls == "implicit",
                "requireTLS": way.tls == "starttls",
                "ignoreTLS": not way.tls,
                "name": "node.example",
                "tls": {"ca": self.ca.read_text()},
            }
            if way.mechanism:
                transport |= {"auth": {"user": SENDER, "pass": password}, "authMethod": way.mechanism}
            message = {"from": f"Älice <{SENDER}>", "subject": "Grüße", "to": RECIPIENT, **message}
            options = json.dumps({"transport": transport, "message": message})
            return await self.run_program(
                node, str(script), stdin=options.encode(), environment={"NODE_PATH": str(modules)}
            )

        for way in (CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT):
            done = await send(way, {"raw": crlf(DOTS).decode(), "envelope": {"from": SENDER, "to": [RECIPIENT, OTHER]}})
            self.assertEqual(done.status, 0, done)
            self.assertIn("Ok: queued as", done.output)
            message = await self.same_arrives(DOTS, recipients=(RECIPIENT, OTHER))
            self.assertIn(
                f"from node.example ([127.0.0.1]) by {'gateway.lab.example'} with {way.protocol} id",
                self.trace(message),
            )
        done = await send(IMPLICIT, {"text": UTF8_BODY, "attachments": [{"path": str(attachment)}]})
        self.assertEqual(done.status, 0, done)
        self.has_attachment(await self.parsed_arrives())
        done = await send(PLAIN, {"to": f"bob@{IDN}, bücherwurm@{IDN}", "text": UTF8_BODY})
        self.assertEqual(done.status, 0, done)
        await self.parsed_arrives(recipients=(f"bob@{IDN_ASCII}", f"bücherwurm@{IDN}"))
        await self.authenticated("PLAIN", "LOGIN", "PLAIN", "PLAIN", "PLAIN")
        for message_, password, words in (
            ({"text": "x", "to": UNKNOWN}, PASSWORD, NO_SUCH_USER),
            ({"raw": TOO_LARGE.decode(), "envelope": {"from": SENDER, "to": RECIPIENT}}, PASSWORD, TOO_BIG),
            ({"text": "x"}, "wrong", BAD_PASSWORD),
        ):
            done = await send(PLAIN, message_, password)
            self.assertEqual(done.status, 1, done)
            self.assertIn(words, done.output)


class PhpTests(ProgramCase):
    """PHPMailer, and PHP's own mail()."""

    async def test_phpmailer(self) -> None:
        """What PHPMailer makes arrives, by each way that it knows."""
        php = optional_program("php", "-r", "echo 'here';", package="php-cli", shows="here")
        optional_program(
            "php",
            "-r",
            "echo is_file('/usr/share/php/libphp-phpmailer/autoload.php') ? 'y' : 'n';",
            package="libphp-phpmailer",
            shows="y",
        )
        script, attachment = self.file("send.php", PHPMAILER), self.file("octets.bin", ATTACHMENT)

        async def send(
            way: Way,
            to: tuple[str, ...] = (RECIPIENT,),
            body: str = UTF8_BODY,
            password: str = PASSWORD,
            **more: object,
        ) -> Done:
            properties = {
                "Mailer": "smtp",
                "Host": "localhost",
                "Port": self.port(way),
                "Helo": "php.example",
                "SMTPSecure": {"": "", "starttls": "tls", "implicit": "ssl"}[way.tls],
                "SMTPAutoTLS": bool(way.tls),
                "SMTPAuth": bool(way.mechanism),
                "AuthType": way.mechanism,
                "Username": SENDER,
                "Password": password,
                "CharSet": "utf-8",
                "Encoding": "8bit",
                "Subject": "Grüße",
                "Body": body,
                **more,
            }
            options = {
                "properties": properties,
                "ssl": {"cafile": str(self.ca)},
                "from": SENDER,
                "to": to,
                "attachments": [str(attachment)] if way is IMPLICIT else [],
            }
            return await self.run_program(php, str(script), stdin=json.dumps(options).encode())

        for way in (CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT):
            done = await send(way, (RECIPIENT, OTHER))
            self.assertEqual(done.status, 0, done)
            message = await self.parsed_arrives(recipients=(RECIPIENT, OTHER))
            self.assertIn(f"with {way.protocol} id", self.last_trace)
            if way is IMPLICIT:
                self.has_attachment(message)
            else:
                self.has_text(message)
        await self.authenticated("PLAIN", "LOGIN", "PLAIN")
        for done, words in (
            (await send(PLAIN, (UNKNOWN,)), NO_SUCH_USER),
            (await send(PLAIN, body=TOO_LARGE.decode()), TOO_BIG),
            (await send(PLAIN, password="wrong"), "Could not authenticate"),
        ):
            self.assertEqual(done.status, 1, done)
            self.assertIn(words, done.output)
        done = await self.run_program(
            php,
            "-d",
            f"sendmail_path={self.sendmail()} -t -i",
            str(script),
            stdin=json.dumps(
                {
                    "properties": {"Mailer": "mail", "Subject": "x", "Body": "y", "Sender": SENDER},
                    "ssl": {},
                    "from": SENDER,
                    "to": [RECIPIENT],
                    "attachments": [],
                }
            ).encode(),
        )
        self.assertEqual(done.status, 0, done)
        await self.parsed_arrives()

    async def test_mail(self) -> None:
        """PHP's mail() hands in by seg-sendmail, with its fields and parameters; it's told what is refused."""
        php = optional_program("php", "-r", "echo 'here';", package="php-cli", shows="here")
        setting = f"sendmail_path={self.sendmail()} -t -i"
        script = self.file("mail.php", "<?php exit(mail(...json_decode($argv[1], true)) ? 0 : 1);")
        fields = f"From: Alice <{SENDER}>\r\nCc: {OTHER}\r\nBcc: dave@receiver.example\r\nContent-Type: text/plain; charset=utf-8"
        call = [RECIPIENT, "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", UTF8_BODY, fields, f"-f {SENDER}"]
        done = await self.run_program(php, "-d", setting, str(script), json.dumps(call))
        self.assertEqual((done.status, done.output), (0, ""))
        message = await self.parsed_arrives(recipients=(RECIPIENT, OTHER, "dave@receiver.example"))
        self.assertEqual((message["Subject"], message["To"], message["Bcc"]), ("Grüße", RECIPIENT, None))
        self.has_text(message)
        done = await self.run_program(
            php, "-d", setting, str(script), json.dumps([UNKNOWN, *call[1:3], f"From: {SENDER}"])
        )
        self.assertEqual(done.status, 1, done)
        self.assertIn("nobody takes mail for", done.output)
