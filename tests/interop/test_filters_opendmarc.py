"""Debian's ``opendmarc`` judges mail."""

from __future__ import annotations

from pathlib import Path

from tests.interop.filter_case import TRIED, OtherMilterCase
from tests.interop.messages import MESSAGES
from tests.programs import optional_program

FIELD = b"Authentication-Results: gateway.lab.example; dmarc="
OTHERS = (
    b"authentication-results:  other.example;\r\n  dmarc=fail   header.from=x.example\r\nX-Odd :\t two \r\n"
    b"Authentication-Results: third.example;\r\n\tspf=pass smtp.mailfrom=sender.example\r\n"
)


class OpenDMARCTests(OtherMilterCase):
    """It inserts a field on top. It asks the machine's resolver for the sender's domain, whose name doesn't exist (RFC 6761 §6.5)."""

    async def setUp(self) -> None:
        self.program = optional_program("opendmarc", "-V")
        await super().setUp()

    async def milter(self, path: Path) -> None:
        configuration = self.folder / "opendmarc.conf"
        configuration.write_text(
            "AuthservID gateway.lab.example\nSyslog no\nRejectFailures no\nIgnoreHosts /dev/null\nSPFIgnoreResults no\n"
            f"SPFSelfValidate no\nSocket local:{path}\nPidFile {self.folder}/opendmarc.pid\n"
        )
        await self.wait_for_socket(path, self.program, "-f", "-c", str(configuration))

    async def test_edits(self) -> None:
        """Its field stands on top, and all else is as it was, octet for octet."""
        path = self.folder / "other.sock"
        await self.milter(path)
        await self.start_filtered({"name": "opendmarc", "address": f"unix:{path}"})
        for name, (above, content) in (await self.passed(*TRIED)).items():
            judged = name != "nothing"  # what has no From isn't
            self.assertEqual(above.startswith(FIELD) and above.count(b"\r\n") == 1, judged, (name, above))
            self.assertTrue(content == MESSAGES[name], (name, above, content[:300]))

    async def test_results_of_others(self) -> None:
        """Fields of the same name that were there, folded and spaced oddly, stay as they were below its own: it asks for one change."""
        path = self.folder / "other.sock"
        await self.milter(path)
        gateway = await self.start_filtered({"name": "opendmarc", "address": f"unix:{path}"})
        head, place, rest = MESSAGES["eight"].partition(b"Subject")
        content = head + OTHERS + place + rest
        above, found = await self.one(content)
        self.assertTrue(above.startswith(FIELD), above)
        self.assertEqual(found, content)
        await gateway.wait_for_log(r"filter opendmarc: accept, 1 header change,")

    async def test_down(self) -> None:
        """Mail is refused for now while it is down, and judged afterwards."""
        await self.down_and_up("opendmarc")
