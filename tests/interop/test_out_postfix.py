"""The gateway sends to Postfix."""

from __future__ import annotations

import re
from email import message_from_bytes

from tests.interop.messages import HEADER, MESSAGES, hand_in
from tests.interop.out_case import HOST, OLD, SENDER, OutCase
from tests.interop.servers.base import PASSWORD, USER, without_traces
from tests.interop.servers.postfix import Postfix

TEXT = "Grüße aus der Küche, 漢字\r\n" + "ö" * 400 + "\r\n.\r\n"
TYPE = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
PARTS = (
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n'
    + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + TEXT.encode()
    + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n"
)


class PostfixTests(OutCase):
    """As it is installed."""

    server = Postfix
    chunking = True
    dsn = True

    async def test_auth(self) -> None:
        """Each mechanism over STARTTLS, as Postfix logs it; a refused password keeps the mail, and `seg explain` says what was refused."""
        server = await self.start_server()
        (self.folder / "password").write_text(PASSWORD + "\n")
        mechanisms = {"plain": "PLAIN", "login": "LOGIN", "scram": "SCRAM-SHA-256"}
        text = '[default]\ntls = "required-verify-hosted"\n'
        for name, mechanism in {**mechanisms, "wrong": "PLAIN"}.items():
            password = 'password = "wrong"' if name == "wrong" else f'password_file = "{self.folder}/password"'
            text += f'[route."{name}.example"]\nhosts = ["{HOST}:{server.port}"]\nauth = "{name}"\n'
            text += f'[auth_profile.{name}]\nusername = "{USER}"\n{password}\nmechanisms = ["{mechanism}"]\n'
        gateway = await self.start_with(text)
        for name, mechanism in mechanisms.items():
            await gateway.inject(SENDER, f"bob@{name}.example", MESSAGES["plain"])
            await gateway.wait_for_log(r"Message done DCID \d+ MID \d+ to RID \[0\].*", 15)
            for _ in range(200):
                if f"sasl_method={mechanism}, sasl_username={USER}" in server.output():
                    break
                await self.pause()
            else:
                self.fail(server.output())
        self.assertEqual(len(await server.wait_for("bob", 3)), 3)
        await gateway.inject(SENDER, "carol@wrong.example", MESSAGES["plain"])
        await gateway.wait_for_log(r"AUTH profile wrong \(PLAIN\) is refused: .*authentication failed")
        out, _, status = await self.seg("explain", "wrong.example")
        self.assertEqual(status, 1, out)
        self.assertIn("we can't authenticate to it", " ".join(out.split()))
        self.assertNotIn("can't be reached", " ".join(out.split()))
        self.assertEqual(server.stored("carol"), [])

    async def test_seven_bit(self) -> None:
        """A server without 8BITMIME gets ASCII that says the same; what is signed it doesn't get, and the sender hears why."""
        limited = await self.start_server(OLD, limited=True)
        self.domain("old.example", OLD)
        gateway = await self.start_with()
        signed = TYPE + b"DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; h=from; b=x\r\n"
        await hand_in(
            gateway.port, SENDER, "bob@old.example", HEADER + TYPE + b"\r\n" + TEXT.encode(), ["BODY=8BITMIME"]
        )
        await hand_in(gateway.port, SENDER, "carol@old.example", HEADER + PARTS, ["BODY=8BITMIME"])
        await hand_in(
            gateway.port, SENDER, "old@old.example", HEADER + signed + b"\r\n" + TEXT.encode(), ["BODY=8BITMIME"]
        )
        (whole,), (parts,) = await limited.wait_for("bob"), await limited.wait_for("carol")
        for stored in (whole, parts):
            _, found = without_traces(stored)
            self.assertTrue(found.isascii())
            self.assertLessEqual(max(map(len, found.split(b"\r\n"))), 998)
        self.assertEqual(self.text(without_traces(whole)[1]), TEXT)
        first, second = message_from_bytes(without_traces(parts)[1]).get_payload()
        self.assertEqual(self.text(first.as_bytes()), TEXT)
        self.assertEqual(self.text(second.as_bytes()).strip(), "plain")
        await gateway.wait_for_log(r"Bounced: .*old@old\.example.*5\.6\.3")

    def text(self, message: bytes) -> str:
        """What a reader sees."""
        payload = message_from_bytes(message).get_payload(decode=True)
        assert isinstance(payload, bytes)
        return re.sub(r"\r?\n", "\r\n", payload.decode("utf-8"))


del OutCase
