"""``seg explain`` and the verify commands, through the running gateway and without one."""

from __future__ import annotations

import json
import re
from datetime import date

from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.world import MX, TLSA, Policy
from tests.e2e.base import MESSAGE, GatewayCase

WRONG = Behaviour(certificate=Certificate.OTHER_NAME)


def plain(text: str) -> str:
    """The text without what differs from run to run: addresses, ports, ciphers, dates, ids."""
    text = re.sub(r"\b127\.\d+\.\d+\.\d+\b", "ADDRESS", text)
    text = re.sub(r"(port |ADDRESS:)\d+", r"\1PORT", text)
    text = re.sub(r"\bTLS_\w+, group \w+", "CIPHER, group GROUP", text)
    text = re.sub(r"\. \d+ IN TXT", ". TTL IN TXT", text)
    text = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d UTC)?", "DATE", text)
    return re.sub(r"https://mta-sts\.([\w.]+):\d+/", r"https://mta-sts.\1:PORT/", text)


class CheckTests(GatewayCase):
    """Each command for a domain that passes, and one that fails."""

    async def check(self, *arguments: str) -> tuple[str, int]:
        """What a command says, and its exit status; nothing on standard error."""
        out, err, status = await self.seg(*arguments)
        self.assertEqual(err, "")
        return plain(out), status

    async def test_policyreport(self) -> None:
        """What would have failed under enforcement, of mail that was delivered: testing, monitor and an exemption, a domain a row."""
        await self.internet.add_domain("testing.example", policy=Policy(mode="testing", mx=("mx.elsewhere.example",)))
        wrong = MX("mx.monitor.example", tlsa=(TLSA(wrong=True),))
        await self.internet.add_domain("monitor.example", mx=[wrong], secure=True)
        expired = MX("mx.exempt.example", behaviour=Behaviour(certificate=Certificate.EXPIRED))
        await self.internet.add_domain("exempt.example", mx=[expired], policy=Policy())
        await self.internet.add_domain("good.example", policy=Policy())
        exemption = {"until": date(2099, 1, 1), "reason": "ticket 7"}
        gateway = await self.start_gateway(
            profiles={"monitor.example": {"dane": "monitor"}, "exempt.example": {"exemption": exemption}}
        )
        self.assertIn("Nothing would have failed since", (await self.check("policyreport"))[0])
        domains = ("testing.example", "monitor.example", "exempt.example", "good.example")
        for number in (1, 2):
            for name in domains:
                await gateway.inject("alice@sender.example", f"bob@{name}", MESSAGE)
            for name in domains:
                await self.internet.wait_for_messages(name, number)
        wanted = {
            "testing.example": ("mta-sts", "mx-not-in-policy"),
            "monitor.example": ("dane", "tlsa-no-match"),
            "exempt.example": ("mta-sts", "certificate-expired"),
        }
        rows = (await self.seg_json("policyreport"))["domains"]
        found = {row["domain"]: {(each["provider"], each["cause"]) for each in row["causes"]} for row in rows}
        self.assertEqual({name: {pair} for name, pair in wanted.items()}, found)
        self.assertEqual([row["sessions"] for row in rows], [2, 2, 2])
        out, status = await self.check("policyreport", "--days", "1")
        self.assertEqual(status, 0)
        for name, (provider, cause) in wanted.items():
            self.assertRegex(out, rf"{name}\W+2 .*{provider}\W+{cause}\W+mx\.{name}")
        self.assertNotIn("good.example", out)
        self.assertIn("All of it was delivered", out)
        out, _ = await self.check("policyreport", "--domain", "good.example")
        self.assertRegex(out, r"Nothing would have failed since .* for good\.example\.")

    async def test_daneverify(self) -> None:
        """The vendor's lines, word for word; a domain without DNSSEC fails, and one with a wrong record says why."""
        for name, tlsa in (("good.example", TLSA()), ("wrong.example", TLSA(wrong=True))):
            await self.internet.add_domain(name, mx=[MX(f"mx.{name}", tlsa=(tlsa,))], secure=True)
        await self.internet.add_domain("unsigned.example", mx=[MX("mx.unsigned.example")])
        await self.start_gateway(default={"dane": "none"})
        out, status = await self.check("daneverify", "good.example")
        self.assertEqual(
            (out.splitlines(), status),
            (
                [
                    'NOTE: the profile "Default" says dane = "none". It is looked at all the same.',
                    "SECURE MX record(mx.good.example) found for good.example",
                    "SECURE A record (ADDRESS) found for MX(mx.good.example) in good.example",
                    "Connecting to ADDRESS on port PORT.",
                    "Connected to ADDRESS from interface ADDRESS.",
                    "SECURE TLSA record found for MX(mx.good.example) in good.example",
                    "Checking TLS connection.",
                    "TLS connection established: protocol TLSv1.3, cipher CIPHER, group GROUP.",
                    "Certificate verification successful",
                    "TLS connection succeeded good.example.",
                    "DANE SUCCESS for good.example",
                ],
                0,
            ),
        )
        out, status = await self.check("daneverify", "wrong.example")
        self.assertEqual(status, 1)
        self.assertIn("Verification failed: no TLSA record matches the certificate\n  TLSA 3 1 1 0000", out)
        self.assertTrue(out.endswith("DANE FAILED for wrong.example\n"))
        out, status = await self.check("daneverify", "unsigned.example")
        self.assertEqual(
            (out.splitlines(), status),
            (
                [
                    'NOTE: the profile "Default" says dane = "none". It is looked at all the same.',
                    "INSECURE MX record(mx.unsigned.example) found for unsigned.example",
                    "INSECURE MX records found. Hence the command will not proceed.",
                    "DANE FAILED for unsigned.example",
                ],
                1,
            ),
        )

    async def test_stsverify(self) -> None:
        """Record, fetch, policy, cache, each MX; and what is wrong where it fails. The profile doesn't matter."""
        await self.internet.add_domain("good.example", mx=[MX("mx.good.example")], policy=Policy())
        await self.internet.add_domain(
            "bad.example",
            mx=[MX("mx.bad.example", behaviour=WRONG), MX("mx2.bad.example")],
            policy=Policy(mx=("mx.bad.example",)),
        )
        await self.internet.add_domain("none.example", mx=[MX("mx.none.example")])
        gateway = await self.start_gateway(default={"mta_sts": "off"})
        out, status = await self.check("stsverify", "good.example")
        self.assertEqual(
            (out.splitlines(), status),
            (
                [
                    'NOTE: the profile "Default" says mta_sts = "off". It is looked at all the same.',
                    ";; ANSWER SECTION:",
                    '_mta-sts.good.example. TTL IN TXT "v=STSv1; id=20260101T000000;"',
                    "MTA-STS record found for good.example, id 20260101T000000",
                    "Fetching https://mta-sts.good.example:PORT/.well-known/mta-sts.txt",
                    "Connected to ADDRESS:PORT.",
                    "TLS connection established: protocol TLSv1.3, cipher CIPHER, group GROUP.",
                    "Policy host certificate: names mta-sts.good.example; issuer CN=Lab Intermediate CA; valid until DATE",
                    "The policy was fetched:",
                    "",
                    "version: STSv1",
                    "mode: enforce",
                    "mx: mx.good.example",
                    "max_age: 86400",
                    "",
                    "Cached policy: id 20260101T000000, mode enforce, fetched DATE, expires DATE",
                    "MX(mx.good.example) is listed in the policy",
                    "Connecting to ADDRESS on port PORT.",
                    "Connected to ADDRESS from interface ADDRESS.",
                    "Checking TLS connection.",
                    "TLS connection established: protocol TLSv1.3, cipher CIPHER, group GROUP.",
                    "Certificate verification successful",
                    "MTA-STS SUCCESS for good.example",
                ],
                0,
            ),
        )
        out, status = await self.check("stsverify", "bad.example")
        self.assertEqual(status, 1)
        for part in (
            "MX(mx2.bad.example) is NOT listed in the policy",
            "MX(mx2.bad.example) would not be contacted: MX not in policy",
            "names wanted: mx.bad.example; names presented: ",
            "MTA-STS FAILED for bad.example",
        ):
            self.assertIn(part, out)
        out, status = await self.check("stsverify", "none.example")
        self.assertEqual((out.splitlines()[-1], status), ("NO MTA-STS for none.example", 0))
        self.assertEqual(gateway.events("delivery_connected"), [])  # checks aren't deliveries

    async def test_tlsverify(self) -> None:
        """The vendor's lines; a foreign certificate fails, and so does a host without TLS; another port may be named."""
        await self.internet.add_domain("good.example", mx=[MX("mx.good.example")])
        await self.internet.add_domain("bad.example", mx=[MX("mx.bad.example", behaviour=WRONG)])
        gateway = await self.start_gateway()
        out, status = await self.check("tlsverify", "good.example", f"mx.good.example:{self.internet.port}")
        self.assertEqual(
            (out.splitlines(), status),
            (
                [
                    "Connecting to ADDRESS on port PORT.",
                    "Connected to ADDRESS from interface ADDRESS.",
                    "Checking TLS connection.",
                    "TLS connection established: protocol TLSv1.3, cipher CIPHER, group GROUP.",
                    "Verifying peer certificate.",
                    "Verifying certificate common name mx.good.example.",
                    "TLS certificate match mx.good.example",
                    "TLS certificate verified.",
                    "TLS connection to ADDRESS succeeded.",
                    "TLS successfully connected to mx.good.example.",
                    "TLS policy for good.example via mx.good.example: dane=none(insecure MX) mta-sts=none(no policy) tls=preferred "
                    "-> TLSv1.3 unverified",
                    "TLS verification completed.",
                ],
                0,
            ),
        )
        out, status = await self.check("tlsverify", "bad.example")
        self.assertEqual(status, 1)
        self.assertIn("TLS certificate not verified: peer cert does not match domain bad.example", out)
        out, status = await self.check("tlsverify", "good.example", f"127.0.0.1:{gateway.port}")
        self.assertEqual(status, 1)
        self.assertIn("TLS connection failed: STARTTLS isn't offered", out)
        _, err, status = await self.seg("tlsverify")
        self.assertEqual(status, 2)
        self.assertIn("name the domain", err)

    async def test_explain(self) -> None:
        """What would happen now, with the profile in force and with another; DNS errors are errors; wrong questions get words."""
        await self.internet.add_domain("bad.example", mx=[MX("mx.bad.example", behaviour=WRONG)], policy=Policy())
        gateway = await self.start_gateway()
        out, status = await self.check("explain", "bad.example")
        self.assertEqual(status, 1)
        for part in (
            "Profile Default: TLS preferred, DANE opportunistic, MTA-STS on\nRoute: MX records, not signed\n",
            "  dane:     none(insecure MX)\n  mta-sts:  enforce(id 20260101T000000, ",
            "  demands:  TLS, TLSv1.2 or newer; certificate for mx.bad.example (mta-sts)\n",
            "A message now: deferred, to be tried again: 4.7.5 mx.bad.example does not satisfy the TLS policy (mta-sts) of bad.example",
            "What you can do:\n  - ",
        ):
            self.assertIn(part, out)
        other = self.folder / "other.toml"
        other.write_text('[default]\nmta_sts = "monitor"\n')
        document = await self.seg_json("explain", "bad.example", "--profile", str(other))
        self.assertEqual((document["result"], document["now"]["text"]), ("pass", "TLSv1.3 unverified"))
        self.assertEqual(document["hosts"][0]["tried"][0]["verdict"]["observed"][0]["ok"], False)
        other.write_text("[defualt]\n")
        for arguments, words in (
            (
                ("explain", "bad.example", "--profile", str(other)),
                "other.toml:1: [defualt]: unknown table; did you mean default?",
            ),
            (("explain", "not a domain"), "'not a domain' is no domain name"),
            (("explain", "bad.example", "--mx", "a:b"), '"b" is not a port'),
        ):
            out, err, status = await self.seg(*arguments)
            self.assertEqual(out, "")
            self.assertIn(words, err)
            self.assertIn(status, (1, 2))
        await self.internet.nameserver.stop()
        out, status = await self.check("explain", "elsewhere.example")
        self.assertEqual(status, 2)
        self.assertIn("Route: none. 4.3.0 no resolver answers: DNS ", out)
        self.assertTrue(gateway.running)

    async def test_without_a_gateway(self) -> None:
        """No gateway runs: the command looks itself, says so, and writes nothing into the gateway's folders."""
        await self.internet.add_domain("good.example", mx=[MX("mx.good.example")], policy=Policy())
        gateway = await self.start_gateway()
        await gateway.stop()
        before = {path for path in gateway.var.rglob("*") if path.is_file()}
        out, err, status = await self.seg("stsverify", "good.example", "--json")
        self.assertEqual((err, status), ("The gateway isn't running; looking from here with its configuration.\n", 0))
        self.assertEqual(json.loads(out)["mta_sts"]["policy"]["mode"], "enforce")
        self.assertEqual({path for path in gateway.var.rglob("*") if path.is_file()}, before)
