"""``seg setup``: what it writes, what it refuses, and what it says."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import stat
import tempfile
from pathlib import Path
from unittest import mock

from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from seg.auth.users import parse_users
from seg.cli import main as cli
from seg.cli import setup_files
from seg.cli.setup_dns import NoDNSAnswer, look_at_dns
from seg.cli.setup_plan import hostname_fault, listen_fault, network_fault, smart_host_fault
from seg.config.destinations import TLSOption
from seg.config.find import find_configuration
from seg.config.installation import wanted
from seg.config.installation import wrong as wrong_with
from seg.config.load import load_destinations, load_settings
from seg.tls.selfsigned import self_signed

SCHEMA = Path(__file__).parents[1] / "schemas" / "setup.json"
SOMEBODY = 65534  # nobody's number
BASE = ("--yes", "--no-dns", "--hostname", "mx.example.com")


class SetupCase(SynchronousTestCase):
    """A folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "etc"
        self.folder.parent.mkdir()

    def run_setup(self, *words: str, text: str = "", status: int = 0) -> Result:
        """Run the verb."""
        result = CliRunner().invoke(
            cli.main, ["setup", "--folder", str(self.folder), *words], input=text, prog_name="seg"
        )
        self.assertEqual(result.exit_code, status, result.output)
        return result

    def secret(self, text: str = "correct horse\n") -> str:
        """A file with a password."""
        file = self.folder.parent / "pw"
        file.write_text(text)
        return str(file)


class WrittenTests(SetupCase):
    """Files."""

    def test_least(self) -> None:
        """A host name is enough; the files are those that the gateway reads, with modes that are right."""
        self.run_setup(*BASE)
        settings = load_settings(self.folder / "seg.toml")
        self.assertEqual(settings.gateway.hostname, "mx.example.com")
        self.assertEqual(settings.gateway.var, str(self.folder.parent / "var"))
        (relay,) = settings.listener
        self.assertEqual((relay.address, relay.port, relay.tls, relay.auth), ("127.0.0.1", 2525, "starttls", "off"))
        self.assertEqual(settings.receive.relay_networks, ("127.0.0.0/8", "::1/128"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self.folder.rglob("*") if path.is_file()}
        self.assertEqual(modes, {"seg.toml": 0o644, "destinations.toml": 0o640, "mx.example.com.pem": 0o600})
        self.assertIn("# Networks that may relay", (self.folder / "seg.toml").read_text())

    def test_all(self) -> None:
        """Relay networks (repeated and with commas), submission with a user, smart host with AUTH, root's mail: no password in the two files."""
        pem = self.folder.parent / "own.pem"
        pem.write_bytes(self_signed("mx.example.com", datetime.datetime.now(datetime.UTC)))
        password = self.secret()
        result = self.run_setup(
            *BASE, "--relay-networks", "192.0.2.0/24,2001:db8::/32", "--relay-networks", "198.51.100.0/24",
            "--certificate", str(pem), "--user", "Alice@example.com", "--user-password-file", password,
            "--smart-host", "smtp.example.net:587", "--smart-user", "me", "--smart-password-file", password,
            "--local-users", "ops@example.com", "--json",
        )  # fmt: skip
        facts = json.loads(result.output)
        Draft202012Validator(json.loads(SCHEMA.read_text())).validate(facts)
        settings, destinations = (
            load_settings(self.folder / "seg.toml"),
            load_destinations(self.folder / "destinations.toml"),
        )
        self.assertEqual(settings.receive.relay_networks, ("192.0.2.0/24", "2001:db8::/32", "198.51.100.0/24"))
        self.assertEqual(settings.gateway.local_users, "ops@example.com")
        relay, submission = settings.listener
        self.assertEqual((relay.address, relay.port), ("0.0.0.0", 25))
        self.assertEqual((submission.port, submission.tls, submission.auth), (587, "required", "required"))
        self.assertEqual(list(parse_users((self.folder / "users").read_text()).by_name), ["alice@example.com"])
        self.assertEqual(stat.S_IMODE((self.folder / "users").stat().st_mode), 0o600)
        kept = self.folder / "smarthost.password"
        self.assertEqual((kept.read_text(), stat.S_IMODE(kept.stat().st_mode)), ("correct horse\n", 0o600))
        self.assertIs(destinations.profile("any.example").tls, TLSOption.REQUIRED_VERIFY_HOSTED)
        for file in ("seg.toml", "destinations.toml"):
            self.assertNotIn("correct", (self.folder / file).read_text())

    def test_system(self) -> None:
        """Without a folder that of the system is taken by root, and by whoever may write there: the gateway's user in a container."""
        self.folder.mkdir()
        for user, system, taken in (
            (0, self.folder / "none", self.folder / "none"),
            (990, self.folder, self.folder),
            (990, self.folder / "none", Path("etc")),
        ):
            with (
                mock.patch.object(setup_files, "SYSTEM", system),
                mock.patch("os.geteuid", return_value=user),
            ):
                self.assertEqual(setup_files.default_folder(), taken)

    def test_never_overwrites(self) -> None:
        """What is there stays unless --force says so, and then the old one is kept; the same again is no change."""
        self.run_setup(*BASE, "--no-tls")
        self.run_setup(*BASE, "--no-tls")
        before = (self.folder / "seg.toml").read_text()
        error = self.run_setup(*BASE[:3], "other.example.com", "--no-tls", status=1).output
        self.assertIn("seg.toml is there already", error)
        self.assertEqual((self.folder / "seg.toml").read_text(), before)
        self.run_setup(*BASE[:3], "other.example.com", "--no-tls", "--force")
        self.assertEqual((self.folder / "seg.toml.old").read_text(), before)

    def test_same_user(self) -> None:
        """A user that is there keeps his password, and nothing else is written."""
        words = (*BASE, "--user", "alice", "--user-password-file", self.secret())
        self.run_setup(*words)
        text = (self.folder / "users").read_text()
        error = self.run_setup(*words, "--listen", "127.0.0.1:2526", "--force", "--user", "bob").output
        self.assertIn("Written", error)
        (self.folder / "users").write_text(text)
        before = (self.folder / "seg.toml").read_text()
        self.assertIn("alice", self.run_setup(*words, "--listen", "127.0.0.1:2526", status=1).output)
        self.assertEqual((self.folder / "seg.toml").read_text(), before)
        self.assertEqual((self.folder / "users").read_text(), text)


class OwnedTests(SetupCase):
    """Root, for a gateway that runs as somebody else."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("only root can write for another user")
        super().setUp()
        top = Path(tempfile.mkdtemp(prefix="seg-setup-"))  # others can't enter the folders of the tests
        self.addCleanup(shutil.rmtree, top)
        top.chmod(0o755)
        self.folder = top / "etc"
        self.folder.mkdir()
        os.chown(self.folder, SOMEBODY, SOMEBODY)

    def pem(self, mode: int) -> Path:
        """A certificate of root's."""
        file = self.folder.parent / "own.pem"
        file.write_bytes(self_signed("mx.example.com", datetime.datetime.now(datetime.UTC)))
        file.chmod(mode)
        return file

    def test_all_belongs_to_the_gateway(self) -> None:
        """Whatever is written belongs to whom the folder belongs to, secrets to nobody else."""
        words = ("--user", "alice", "--smart-host", "a.example", "--smart-user", "me")
        password = self.secret()
        self.run_setup(*BASE, *words, "--user-password-file", password, "--smart-password-file", password)
        paths = [self.folder, *self.folder.rglob("*")]
        self.assertEqual(len(paths), 7)
        self.assertEqual({(path.stat().st_uid, path.stat().st_gid) for path in paths}, {(SOMEBODY, SOMEBODY)})

    def test_certificate_that_only_root_reads(self) -> None:
        """What root can read and the gateway can't is refused at once, with what to do, not at the start of the service."""
        self.assertIn(
            "seg certconfig import", self.run_setup(*BASE, "--certificate", str(self.pem(0o600)), status=2).output
        )
        self.assertEqual(os.geteuid(), 0)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.run_setup(*BASE, "--certificate", str(self.pem(0o644)))

    def test_check_install(self) -> None:
        """seg check-install names each file that the gateway can't read, and each folder that it can't enter; what it can it doesn't name."""
        pem = self.pem(0o644)
        self.run_setup(*BASE, "--certificate", str(pem))
        files = find_configuration(str(self.folder / "seg.toml"))
        settings, destinations = load_settings(files.settings), load_destinations(files.destinations)

        def wrong() -> list[str]:
            each = [e for w in wanted(files, settings, destinations, SOMEBODY) if w.path == pem for e in wrong_with(w)]
            return [found.problem for found in each]

        pem.chmod(0o600)
        self.assertIn("can't be read by", " ".join(wrong()))
        os.chown(pem, SOMEBODY, SOMEBODY)
        self.assertEqual(wrong(), [])
        self.folder.parent.chmod(0o700)
        self.assertIn("may not enter", " ".join(wrong()))


class RefusedTests(SetupCase):
    """Answers that can't be used end it before anything is written, with the option's name."""

    def test_options(self) -> None:
        """Each with what is wrong."""
        missing, empty = str(self.folder.parent / "none"), self.secret("\n")
        for words, said in (
            (("--hostname", "mail"), "--hostname"),
            (("--hostname", "localhost"), "--hostname"),
            (("--hostname", "192.0.2.1"), "--hostname"),
            (("--hostname", "host.localdomain"), "--hostname"),
            (("--relay-networks", "192.0.2.0/33"), "--relay-networks"),
            (("--listen", "example.com:25"), "--listen"),
            (("--listen", "0.0.0.0:99999"), "--listen"),
            (("--postmaster", "no address"), "--postmaster"),
            (("--local-users", "no address"), "--local-users"),
            (("--certificate", missing), "--certificate"),
            (("--smart-host", "not a host"), "--smart-host"),
            (("--smart-user", "me"), "--smart-host"),
            (("--smart-host", "a.example", "--smart-user", "me"), "--smart-password-file"),
            (("--smart-host", "a.example", "--smart-user", "me", "--smart-password-file", missing), "can't be read"),
            (("--smart-host", "a.example", "--smart-user", "me", "--smart-password-file", empty), "no password"),
            (("--submission",), "--user"),
            (("--user", "alice"), "--user-password-file"),
            (("--user", "alice", "--no-tls"), "TLS"),
        ):
            result = self.run_setup(*BASE, *words, status=2)
            self.assertIn(said, result.output)
            self.assertNotIn("Traceback", result.output)
            self.assertFalse(self.folder.exists(), words)

    def test_no_terminal(self) -> None:
        """Without a terminal and --yes it says what to do."""
        self.assertIn("--yes", self.run_setup(status=2).output)

    def test_folder(self) -> None:
        """A folder that can't be made is one line."""
        self.folder.parent.joinpath("etc").write_text("a file")
        self.assertNotIn("Traceback", self.run_setup(*BASE, status=1).output)


class AskedTests(SetupCase):
    """On a terminal."""

    def test_dialogue(self) -> None:
        """Each question once, a wrong answer again, an empty line takes the default."""
        lines = ["mail", "mx.example.com", "", "", "", "n", "", "ops@example.com", ""]
        with mock.patch("seg.cli.setup.can_ask", lambda: True):
            output = self.run_setup("--no-dns", text="\n".join(lines) + "\n").output
        self.assertIn('"mail" has no dot: other servers want a full name', output)
        gateway = load_settings(self.folder / "seg.toml").gateway
        self.assertEqual((gateway.postmaster, gateway.local_users), ("postmaster@mx.example.com", "ops@example.com"))
        self.assertIn("To start it:", output)

    def test_end_of_input(self) -> None:
        """Whoever leaves in between leaves nothing behind."""
        with mock.patch("seg.cli.setup.can_ask", lambda: True):
            self.run_setup("--no-dns", text="mx.example.com\n", status=1)
        self.assertFalse(self.folder.exists())


class DNSTests(SynchronousTestCase):
    """`look_at_dns`."""

    def test_table(self) -> None:
        """Address, and its name: each that is missing or differs is said with the record to publish."""
        right = {("mx.example.com", "A"): ("192.0.2.1",), ("1.2.0.192.in-addr.arpa.", "PTR"): ("mx.example.com",)}
        for zone, good, said in (
            (right, [True, True], "192.0.2.1"),
            ({}, [False], "mx.example.com. IN A"),
            ({("mx.example.com", "A"): ("192.0.2.1",)}, [True, False], "IN PTR mx.example.com."),
            ({**right, ("1.2.0.192.in-addr.arpa.", "PTR"): ("dsl.isp.example",)}, [True, False], "dsl.isp.example"),
            ({("mx.example.com", "AAAA"): ("2001:db8::1",)}, [True, False], "ip6.arpa"),
        ):
            found = look_at_dns("mx.example.com", lambda name, kind, zone=zone: zone.get((name, kind), ()))  # type: ignore[misc]
            self.assertEqual([finding.ok for finding in found], good)
            self.assertIn(said, " ".join(finding.text for finding in found))

    def test_no_answer(self) -> None:
        """No resolver is no word on the name."""

        def ask(name: str, kind: str) -> tuple[str, ...]:
            raise NoDNSAnswer("timed out")

        (finding,) = look_at_dns("mx.example.com", ask)
        self.assertEqual((finding.ok, "timed out" in finding.text), (False, True))

    def test_faults(self) -> None:
        """What is right has no fault."""
        self.assertEqual(
            [
                hostname_fault("mx.example.com"),
                network_fault("::/0"),
                listen_fault("[::]:25"),
                smart_host_fault("a.b:465"),
            ],
            [""] * 4,
        )
