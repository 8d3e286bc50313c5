"""Mail servers that hand all their mail to the gateway as their smart host: Postfix, Exim, OpenSMTPD."""

from __future__ import annotations

import os
import smtplib

from twisted.internet.threads import deferToThread

from seg.lab.internet import free_port
from tests.e2e.postfix import Postfix, required
from tests.interop.base import (
    CLEAR,
    DOTS,
    IMPLICIT,
    LETTERS,
    LOGIN,
    NO_SUCH_USER,
    PASSWORD,
    PLAIN,
    RECIPIENT,
    SCRAM,
    SENDER,
    STARTTLS,
    UNKNOWN,
    Done,
    ProgramCase,
    Way,
    crlf,
)
from tests.interop.layers import Layers

EXIM = """\
primary_hostname = exim.example
exim_user = nobody
exim_group = nogroup
keep_environment =
never_users =
spool_directory = {home}/spool
log_file_path = {home}/exim.%slog
message_size_limit = 20M
accept_8bitmime = true
chunking_advertise_hosts =
tls_advertise_hosts =
trusted_users = root
begin routers
smarthost:
  driver = manualroute
  transport = out
  route_list = * "localhost"
  self = send
  host_find_failed = defer
begin transports
out:
  driver = smtp
  port = {port}
  hosts_try_chunking = {chunking}
  hosts_require_tls = {tls}
  hosts_avoid_tls = {no_tls}
  hosts_require_auth = {auth}
  protocol = {protocol}
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  helo_data = exim.example
begin retry
* * F,1h,1h
begin rewrite
begin authenticators
client:
  driver = plaintext
  public_name = {mechanism}
  client_send = {secret}
"""

POSTFIX = """\
smtp_host_lookup = native
smtp_helo_name = postfix.example
smtp_tls_CAfile = {ca}
smtp_tls_verify_cert_match = nexthop
smtp_sasl_password_maps = inline:{{
  {{ [localhost]:{submission} = {user}:{password} }} {{ [localhost]:{submissions} = {user}:{password} }} }}
smtp_sasl_security_options = noanonymous
transport_maps = inline:{{ {transports} }}
relayhost = [localhost]:{relay}
"""


class PostfixTests(ProgramCase):
    """Postfix with the gateway as relayhost."""

    async def test_letters(self) -> None:
        """What Postfix is given arrives, by each way that it knows; what the gateway refuses comes back with its words."""
        required()
        ways = {f"way{number}": way for number, way in enumerate((CLEAR, STARTTLS, PLAIN, LOGIN, SCRAM, IMPLICIT))}
        settings = POSTFIX.format(
            ca=self.ca,
            submission=self.submission,
            submissions=self.submissions,
            relay=self.relay,
            user=SENDER,
            password=PASSWORD,
            transports=", ".join(
                f"{name}@receiver.example={name}:[localhost]:{self.port(way)}" for name, way in ways.items()
            ),
        )
        services = "".join(
            f"{name} unix - - n - - smtp -o smtp_tls_security_level={'verify' if way.tls else 'none'}"
            f" -o smtp_tls_wrappermode={'yes' if way.tls == 'implicit' else 'no'}"
            f" -o smtp_sasl_auth_enable={'yes' if way.mechanism else 'no'}"
            f" -o smtp_sasl_mechanism_filter={way.mechanism.lower()}\n"
            for name, way in ways.items()
        )
        port = free_port()
        postfix = Postfix(self.folder / "postfix", port, settings, services)
        await deferToThread(postfix.start)
        self.addCleanup(deferToThread, postfix.stop)
        for recipient, way in ways.items():
            for name, letter in LETTERS.items() if way is IMPLICIT else (("dots", DOTS),):
                to = f"{recipient}@receiver.example"
                await hand_in(port, letter, to)
                message = await self.same_arrives(letter, recipients=(to,), traces=1, why=f"{way} {name}")
                wanted = f"from postfix.example ([127.0.0.1]) by gateway.lab.example with {way.protocol} id"
                self.assertIn(wanted, self.trace(message))
        await self.authenticated("PLAIN", "LOGIN", "SCRAM-SHA-256", "PLAIN", "PLAIN", "PLAIN")
        await hand_in(port, DOTS, UNKNOWN)
        report = await self.next_message()
        self.assertIn(NO_SUCH_USER.encode(), report.content)
        self.assertEqual((report.reverse_path, report.recipients), ("", (SENDER,)))


class EximTests(ProgramCase):
    """Exim with the gateway as smart host."""

    async def test_letters(self) -> None:
        """What Exim is handed as sendmail arrives, by each way that it knows, by DATA and by BDAT."""
        setup = "useradd -r Debian-exim 2>/dev/null || echo 'Debian-exim:x:998:998::/:/bin/false' >>/etc/passwd"
        machine = Layers(self.folder, ("exim4-base", "exim4-daemon-light"), setup)
        (self.home / "spool").mkdir()
        os.chown(self.home / "spool", 65534, 65534)
        self.home.chmod(0o777)

        async def send(
            way: Way, letter: bytes, recipient: str, *, password: str = PASSWORD, chunking: bool = False
        ) -> Done:
            names = {
                "home": self.home,
                "port": self.port(way),
                "ca": self.ca,
                "chunking": "*" if chunking else "",
                "tls": "*" if way.tls else "",
                "no_tls": "" if way.tls else "*",
                "auth": "*" if way.mechanism else "",
                "protocol": "smtps" if way.tls == "implicit" else "smtp",
                "mechanism": way.mechanism or "PLAIN",
                "secret": f"^{SENDER}^{password}" if way.mechanism != "LOGIN" else f": {SENDER} : {password}",
            }
            configuration = self.file("exim.conf", EXIM.format(**names), mode=0o644)
            command = ("exim4", "-C", str(configuration), "-odf", "-i", "-f", SENDER, recipient)
            return await self.run_program(*machine.command(*command), stdin=letter)

        for way in (CLEAR, STARTTLS, PLAIN, LOGIN, IMPLICIT):
            for name, letter in LETTERS.items() if way is IMPLICIT else (("dots", DOTS),):
                for chunking in (False, True):
                    done = await send(way, letter, RECIPIENT, chunking=chunking)
                    self.assertEqual(done.status, 0, done)
                    message = await self.same_arrives(letter, traces=1, why=f"{way} {name} {done}")
                    self.assertIn(
                        f"from exim.example ([127.0.0.1]) by gateway.lab.example with {way.protocol} id",
                        self.trace(message),
                    )
        done = await send(IMPLICIT, DOTS, UNKNOWN)
        report = await self.next_message()
        self.assertIn(NO_SUCH_USER.encode(), report.content)
        self.assertEqual((report.reverse_path, report.recipients), ("", (SENDER,)))


class OpenSmtpdTests(ProgramCase):
    """OpenSMTPD with the gateway as relay host."""

    async def test_letters(self) -> None:
        """What OpenSMTPD is given arrives, by each way that it knows."""
        ways = {f"way{number}": way for number, way in enumerate((CLEAR, STARTTLS, PLAIN, IMPLICIT))}
        schemes = {"": "smtp+notls", "starttls": "smtp+tls", "implicit": "smtps"}
        port = free_port()
        lines = [
            f"listen on 127.0.0.1 port {port} hostname opensmtpd.example",
            f'table secrets {{ "alice" = "{SENDER}:{PASSWORD}" }}',
        ]
        for name, way in ways.items():
            label, auth = ("alice@", " auth <secrets>") if way.mechanism else ("", "")
            lines.append(
                f'action "{name}" relay host "{schemes[way.tls]}://{label}localhost:{self.port(way)}"{auth} helo opensmtpd.example'
            )
        lines.append(f'action "other" relay host "smtps://alice@localhost:{self.submissions}" auth <secrets>')
        lines += [f'match from any for rcpt-to "{name}@receiver.example" action "{name}"' for name in ways]
        lines.append('match from any for any action "other"')
        configuration = self.file("smtpd.conf", "\n".join(lines) + "\n")
        setup = "mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty; chmod 711 /var/spool/smtpd\n"
        setup += "for user in opensmtpd opensmtpq; do useradd -r -d /var/lib/opensmtpd/empty $user; done\n"
        setup += f"cp {self.ca} /etc/ssl/certs/ca-certificates.crt"
        machine = Layers(self.folder, ("opensmtpd",), setup)
        await self.start_program(*machine.command("smtpd", "-d", "-f", str(configuration)), port=port)
        for recipient, way in ways.items():
            for name, letter in LETTERS.items() if way is IMPLICIT else (("dots", DOTS),):
                to = f"{recipient}@receiver.example"
                await hand_in(port, letter, to)
                message = await self.same_arrives(letter, recipients=(to,), traces=1, why=f"{way} {name}")
                wanted = f"from opensmtpd.example ([127.0.0.1]) by gateway.lab.example with {way.protocol} id"
                self.assertIn(wanted, self.trace(message))
        await self.authenticated("PLAIN", "PLAIN")  # once a connection, which it keeps
        await hand_in(port, DOTS, UNKNOWN)
        report = await self.next_message()
        self.assertIn(NO_SUCH_USER.encode(), report.content)
        self.assertEqual((report.reverse_path, report.recipients), ("", (SENDER,)))


async def hand_in(port: int, letter: bytes, recipient: str) -> None:
    """Give a server a letter."""

    def talk() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.sendmail(SENDER, [recipient], crlf(letter), ["BODY=8BITMIME"])

    await deferToThread(talk)
