"""The story of a message, from the command line, over rotated and compressed logs."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.e2e.base import MESSAGE, GatewayCase


class LogSearchTests(GatewayCase):
    """A gateway whose log is rotated often."""

    async def test_story(self) -> None:
        """A message of an hour of rotations ago is found, with all that happened to it, without a running gateway."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway(settings={"log": {"rotate_size": 2000, "keep": 50, "message_details": True}})
        for number in range(12):
            await gateway.inject(f"alice{number}@sender.example", "bob@receiver.example", MESSAGE)
        await self.internet.wait_for_messages("receiver.example", 12)
        folder = Path(gateway.folder, "var", "log")
        for _ in range(100):
            if list(folder.glob("*.s.gz")):
                break
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.assertTrue(list(folder.glob("*.s.gz")))
        await gateway.stop()
        out, err, status = await self.seg("findevent", "--from", "alice0@", "--since", "1h")
        self.assertEqual((err, status), ("", 0))
        for text in (
            "Start MID 1 ICID 1",
            "New SMTP ICID 1 ",
            "Delivery start DCID 1 MID 1",
            "Message finished MID 1 done",
        ):
            self.assertIn(text, out)
        self.assertNotIn("MID 2 ", out)
        found = await self.seg_json("findevent", "--to", "receiver.example")
        self.assertEqual(found["mids"], list(range(1, 13)))
        out, _, _ = await self.seg("findevent", "--subject", "end to")
        self.assertIn("12 messages fit: 1, 2, 3", out)
        self.assertEqual((await self.seg("grep", "-c", "Start MID"))[0], "12\n")
        self.assertEqual((await self.seg("grep", "nothing like it"))[2], 1)
        self.assertIn("is no regular expression", (await self.seg("grep", "("))[1])
        _, err, status = await self.seg("findevent", "--mid", "999")
        self.assertEqual(status, 1)
        self.assertIn("nothing of MID 999 is in the mail log any more", err)
        _, err, status = await self.seg("findevent")
        self.assertIn("say what to look for", err)
