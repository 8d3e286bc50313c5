"""``seg certconfig`` as it is typed."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.trial.unittest import SynchronousTestCase

from seg.cli.main import main
from seg.tls.inventory import server_file
from tests.certificates import Authority


class CertconfigTests(SynchronousTestCase):
    """A configuration with one listener."""

    def setUp(self) -> None:
        """Certificates that hold today."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        now = datetime.datetime.now(datetime.UTC)
        root = Authority.root("My Root", now=now)
        issued = root.intermediate("My CA", now=now).leaf("mx.example", now=now)
        self.certificate, self.key = issued.write(self.folder)
        (self.folder / "root.pem").write_bytes(root.pem())
        self.settings('[[listener]]\nname = "relay"\ntls = "starttls"\n' + self.named())

    def named(self) -> str:
        """Both files as keys."""
        return f'certificate = "{self.certificate}"\nkey = "{self.key}"\n'

    def settings(self, text: str) -> None:
        """What stands in seg.toml."""
        (self.folder / "seg.toml").write_text(text)
        (self.folder / "destinations.toml").write_text("")

    def run_seg(self, *words: str) -> Result:
        """Run it."""
        return CliRunner().invoke(main, ["--config", str(self.folder / "seg.toml"), "certconfig", *words])

    def test_list(self) -> None:
        """The chain of each listener, golden."""
        result = self.run_seg("list")
        lines = result.output.splitlines()
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(lines[0], f"Listener relay: {self.certificate}")
        self.assertEqual(lines[1], "  0  CN=mx.example, issued by CN=My CA")
        self.assertRegex(lines[2], r"^     from \d{4}-\d\d-\d\d until \d{4}-\d\d-\d\d \((79|80) days left\)$")
        self.assertEqual(lines[3:5], ["     for mx.example", "  1  CN=My CA, issued by CN=My Root"])
        found = json.loads(self.run_seg("list", "--json").output)
        self.assertEqual(found["certificates"][0]["used_by"], "listener relay")
        self.assertEqual(found["certificates"][0]["problems"], [])

    def test_list_for_servers(self) -> None:
        """What we show to other servers is listed too, by who sees it."""
        text = f'[default]\ncertificate = "{self.certificate}"\nkey = "{self.key}"\n[destination."a.example"]\ncertificate = "/nowhere"\n'
        (self.folder / "destinations.toml").write_text(text + '[destination."b.example"]\ntls = "required"\n')
        result = self.run_seg("list", "--json")
        found = [(each["used_by"], each["problems"]) for each in json.loads(result.output)["certificates"]]
        self.assertEqual(found[:2], [("listener relay", []), ("all other servers", [])])
        self.assertEqual(found[2][0], "servers of a.example")
        self.assertIn("/nowhere: ", found[2][1][0])
        self.assertEqual((len(found), result.exit_code), (3, 1))

    def test_list_for_the_api(self) -> None:
        """The certificate of the admin API over TLS is listed, too."""
        self.settings(f'[control]\naddress = "127.0.0.1"\nport = 8443\n{self.named()}')
        found = json.loads(self.run_seg("list", "--json").output)["certificates"]
        self.assertEqual([each["used_by"] for each in found], ["the admin API"])

    def test_import(self) -> None:
        """A good pair comes into one file with the right permissions; a bad one doesn't, and replaces nothing."""
        target = self.folder / "certificates" / "mx.example.pem"
        result = self.run_seg("import", "mx.example", self.certificate, self.key)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(target.stat().st_mode & 0o777, 0o640)
        self.assertEqual(server_file(str(target), "", datetime.datetime.now(datetime.UTC)).problems, ())
        self.assertIn(f"seg listenerconfig edit NAME --certificate {target}", result.output)
        before = target.read_bytes()
        found = self.run_seg("import", "mx.example", self.certificate, "--json")
        self.assertEqual((found.exit_code, json.loads(found.output)["imported"]), (1, False))
        self.assertIn("no usable private key", found.output)
        self.assertEqual(target.read_bytes(), before)
        self.assertEqual(self.run_seg("import", "../mx", self.certificate, self.key).exit_code, 2)
        self.assertEqual(self.run_seg("import", "mx", str(self.folder / "nothing.pem")).exit_code, 1)

    def test_no_certificate(self) -> None:
        """What to do when there is none."""
        self.settings("")
        result = self.run_seg("list")
        self.assertEqual(result.exit_code, 0)
        self.assertIn("seg listenerconfig edit NAME --certificate FILE", result.output)
        self.assertEqual(json.loads(self.run_seg("list", "--json").output), {"certificates": []})

    def test_check(self) -> None:
        """A pair that would do, and one that wouldn't."""
        result = self.run_seg("check", self.certificate, self.key)
        self.assertEqual((result.exit_code, result.output.splitlines()[-1]), (0, "Nothing is wrong with it."))
        result = self.run_seg("check", self.certificate, "/nowhere")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("  ! /nowhere: ", result.output)
        self.assertNotEqual(json.loads(self.run_seg("check", "/nowhere", "--json").output)["problems"], [])

    def test_authorities(self) -> None:
        """The system's list and one's own."""
        self.assertIn("No authorities were added", self.run_seg("authorities", "--custom").output)
        self.settings(f'[tls]\nextra_ca_file = "{self.folder / "root.pem"}"\n')
        result = self.run_seg("authorities", "--custom")
        self.assertIn("1 authorities", result.output)
        self.assertIn("My Root", result.output)
        lists = json.loads(self.run_seg("authorities", "--json").output)["lists"]
        self.assertEqual([each["kind"] for each in lists], ["system", "custom"])
        self.assertGreater(len(lists[0]["roots"]), 0)
        self.settings(f'[tls]\nca_file = "{self.folder / "root.pem"}"\n')
        lists = json.loads(self.run_seg("authorities", "--expiring", "10", "--json").output)["lists"]
        self.assertEqual([(each["kind"], each["roots"]) for each in lists], [("given", [])])

    def test_new(self) -> None:
        """One signed by itself can be used at once; a request comes with a key of its own; nothing is replaced unasked."""
        result = self.run_seg("new", "mx", "mx.example", "smtp.mx.example")
        self.assertEqual(result.exit_code, 0, result.output)
        made = self.folder / "certificates" / "mx.pem"
        self.assertEqual(made.stat().st_mode & 0o777, 0o640)
        self.assertEqual(server_file(str(made), "", datetime.datetime.now(datetime.UTC)).problems, ())
        before = made.read_bytes()
        self.assertEqual(self.run_seg("new", "mx", "mx.example").exit_code, 1)
        self.assertEqual(made.read_bytes(), before)
        self.assertEqual(self.run_seg("new", "mx", "mx.example", "--force").exit_code, 0)
        self.assertNotEqual(made.read_bytes(), before)
        found = json.loads(self.run_seg("new", "gw", "gw.example", "--request", "--json").output)
        key, request = (Path(path) for path in found["files"])
        self.assertEqual(key.stat().st_mode & 0o777, 0o640)
        csr = x509.load_pem_x509_csr(request.read_bytes())
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["gw.example"])
        self.assertEqual(csr.public_key(), load_pem_private_key(key.read_bytes(), None).public_key())
        for words in (("../mx", "mx.example"), ("mx", "no host name"), ("mx",)):
            self.assertEqual(self.run_seg("new", *words).exit_code, 2)

    def test_export(self) -> None:
        """The chain goes out, the key only when that is asked for, and no file is replaced."""
        self.run_seg("import", "mx", self.certificate, self.key)
        target = self.folder / "out.pem"
        for words, has_key, mode in ((("--with-key",), True, 0o600), ((), False, 0o644)):
            target.unlink(missing_ok=True)
            self.assertEqual(self.run_seg("export", "mx", str(target), *words).exit_code, 0)
            self.assertEqual((b"PRIVATE KEY" in target.read_bytes(), target.stat().st_mode & 0o777), (has_key, mode))
            self.assertEqual(target.read_bytes().count(b"BEGIN CERTIFICATE"), 2)
        self.assertEqual(self.run_seg("export", "mx", str(target)).exit_code, 1)
        self.assertEqual(self.run_seg("export", "mx").output.encode(), target.read_bytes())
        self.assertEqual(self.run_seg("export", "nothing").exit_code, 1)

    def test_delete(self) -> None:
        """What is in use stays, by whomever; all else goes with its key, when somebody says so."""
        self.run_seg("import", "mx", self.certificate, self.key)
        used = self.folder / "certificates" / "mx.pem"
        for settings, destinations in (
            ('[[listener]]\ntls = "starttls"\ncertificate = "certificates/mx.pem"\n', ""),
            ("", f'[destination."a.example"]\ncertificate = "{used}"\n'),
            ('[control]\naddress = "127.0.0.1"\ncertificate = "certificates/../certificates/mx.pem"\n', ""),
        ):
            self.settings(settings)
            (self.folder / "destinations.toml").write_text(destinations)
            result = self.run_seg("delete", "mx", "--yes")
            self.assertEqual((result.exit_code, used.exists()), (1, True))
            self.assertIn("is in use by", result.output)
        self.settings("")
        self.assertEqual((self.run_seg("delete", "mx").exit_code, used.exists()), (2, True))
        self.assertEqual((self.run_seg("delete", "mx", "--yes").exit_code, used.exists()), (0, False))
        self.assertEqual(self.run_seg("delete", "mx", "--yes").exit_code, 1)
