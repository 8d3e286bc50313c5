"""``seg token`` on a file, and what ``--server`` asks of its context."""

from __future__ import annotations

import datetime
import http.client
import json
import shutil
import ssl
import tempfile
from pathlib import Path

import click
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.tokens import hash_of, parse_tokens
from seg.cli.client import ControlSocket, GatewayError, NotRunning
from seg.cli.main import main
from seg.cli.remote import RemoteOptions
from tests.certificates import self_signed

TODAY = datetime.datetime.now(datetime.UTC).date()


class FolderCase(SynchronousTestCase):
    """A folder with an empty seg.toml."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-token-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        (self.folder / "seg.toml").touch()
        self.tokens = self.folder / "tokens"

    def run_seg(self, *words: str, **environment: str) -> Result:
        """The command with this configuration."""
        return CliRunner(env=environment).invoke(main, ["--config", str(self.folder / "seg.toml"), *words])


class TokenTests(FolderCase):
    """``seg token add``, ``list``, ``delete``."""

    def test_add(self) -> None:
        """A token is printed alone on standard output, once; its hash, role and last day are in a file for its owner only."""
        done = self.run_seg("token", "add", "Alice", "--role", "act", "--until", str(TODAY))
        self.assertEqual(done.exit_code, 0, done.output)
        secret = done.stdout.strip()
        self.assertRegex(done.stdout, r"\Aseg_[\w-]{43}\n\Z")
        self.assertEqual(done.stderr, "Token alice added. Keep it now: it can't be shown again.\n")
        self.assertEqual(self.tokens.stat().st_mode & 0o777, 0o600)
        last = self.tokens.read_text().splitlines()[-1]
        self.assertEqual(last, f"alice act {hash_of(secret.encode())} {TODAY}")
        added = json.loads(self.run_seg("token", "add", "bob", "--json").stdout)
        self.assertEqual((added["name"], added["role"], added["until"]), ("bob", "look", None))
        found = parse_tokens(self.tokens.read_text()).find(added["token"].encode())
        self.assertEqual(getattr(found, "name", None), "bob")

    def test_refused(self) -> None:
        """A name that is taken or none, a day that is none or has passed: nothing is changed, and what is wrong is said."""
        self.run_seg("token", "add", "alice")
        before = self.tokens.read_text()
        for words, text in (
            (("add", "ALICE"), "there is a token alice already (seg token delete alice)"),
            (("add", "a b"), "a token's name has at most"),
            (("add", "bob", "--until", "tomorrow"), "the form 2027-03-31"),
            (("add", "bob", "--until", "2020-01-01"), "2020-01-01 has passed"),
            (("delete", "bob"), "there is no token bob"),
        ):
            done = self.run_seg("token", *words)
            self.assertEqual(done.exit_code, 1, words)
            self.assertIn(text, done.stderr)
        self.assertEqual(self.tokens.read_text(), before)
        self.assertEqual(self.run_seg("token", "add", "bob", "--role", "boss").exit_code, 2)

    def test_list(self) -> None:
        """Each with its role and last day; broken lines are told beside; no hash is shown."""
        self.assertIn("There are no tokens", self.run_seg("token", "list").stdout)
        self.run_seg("token", "add", "alice", "--role", "act")
        hash_ = hash_of(b"x")
        with self.tokens.open("a") as file:
            file.write(f"old look {hash_} 2020-01-01\nbroken\n")
        done = self.run_seg("token", "list")
        self.assertIn("line 4: broken: a line has a name", done.stderr)
        self.assertRegex(done.stdout, r"old +look +2020-01-01 \(over\)")
        self.assertNotIn(hash_, done.output)
        found = json.loads(self.run_seg("token", "list", "--json").stdout)
        self.assertEqual(
            found["tokens"],
            [
                {"name": "alice", "role": "act", "until": None, "over": False},
                {"name": "old", "role": "look", "until": "2020-01-01", "over": True},
            ],
        )
        self.assertEqual((found["file"], len(found["faults"])), (str(self.tokens), 1))

    def test_delete(self) -> None:
        """A token that was deleted is in the file no more; all else stays."""
        self.tokens.write_text(f"# mine\nalice act {hash_of(b'a')}\nbob act {hash_of(b'b')}\n")
        done = self.run_seg("token", "delete", "Alice", "--yes")
        self.assertEqual(done.stdout, "Token alice deleted.\n")
        self.assertEqual(self.tokens.read_text(), f"# mine\nbob act {hash_of(b'b')}\n")
        self.assertEqual(
            json.loads(self.run_seg("token", "delete", "bob", "--yes", "--json").stdout),
            {"name": "bob", "done": "deleted"},
        )

    def test_other_place(self) -> None:
        """The file is where the configuration says; one that can't be read or written is told."""
        place = self.folder / "elsewhere" / "t"
        (self.folder / "seg.toml").write_text(f"[control]\ntokens = '{place}'\n")
        done = self.run_seg("token", "add", "alice")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("can't be written: No such file or directory", done.stderr)
        place.mkdir(parents=True)
        self.assertIn("can't be read: not a regular file", self.run_seg("token", "list").stderr)


class ServerTests(FolderCase):
    """``--server``."""

    def setUp(self) -> None:
        super().setUp()
        self.token = self.folder / "token"
        self.token.write_text("seg_x\n")

    def test_usage(self) -> None:
        """Two gateways at once, a token without a server, a server without a token: wrong usage, with what to do."""
        url, file = "https://gateway.example", str(self.token)
        for words, text in (
            (["--socket", "/x", "--server", url, "status"], "don't go with it"),
            (["--config", "/x", "--token-file", file, "status"], "don't go with it"),
            (["--token-file", file, "status"], "are for --server"),
            (["--server", url, "status"], "--server needs a token"),
            (["--server", url, "--token-file", file, "tail"], "run it there"),
            (["--server", url, "--token-file", file, "certconfig", "list"], "run it there"),
            (["--server", url, "--token-file", file, "user", "list"], "run it there"),
        ):
            done = CliRunner().invoke(main, words)
            self.assertEqual(done.exit_code, 2, words)
            self.assertIn(text, done.stderr)

    def test_environment_stands_back(self) -> None:
        """Whoever names a configuration or a socket means that one, whatever the environment says."""
        environment = {"SEG_SERVER": "https://gateway.example", "SEG_TOKEN_FILE": str(self.token)}
        self.assertIn("There are no tokens", self.run_seg("token", "list", **environment).stdout)
        done = CliRunner(env=environment).invoke(main, ["token", "list"])
        self.assertEqual(done.exit_code, 2)
        self.assertIn("run it there, without --server (SEG_SERVER)", done.stderr)
        environment = {"SEG_TOKEN_FILE": str(self.token)}  # alone it means nothing
        self.assertEqual(self.run_seg("token", "list", **environment).exit_code, 0)

    def test_url(self) -> None:
        """It is https, a host, perhaps a port, and nothing else."""
        for url, name in (
            ("https://gateway.example", "https://gateway.example:9726"),
            ("HTTPS://gateway.example:1/", "https://gateway.example:1"),
            ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ):
            server = RemoteOptions(url, str(self.token), None).server()
            self.assertIn(f"{name} can't be reached", server.trouble(OSError(1, "x"), 1).message)
            self.assertEqual(server.headers, {"Authorization": "Bearer seg_x"})
        for url in (
            "",
            "gateway.example",
            "http://gateway.example",
            "https://",
            "https://:1",
            "https://a:b",
            "https://a:99999",
            "https://a/v1",
            "https://a?b",
            "https://a#b",
            "https://me:pw@a",
            "https://[::1",
            "unix:///x",
        ):
            with self.assertRaisesRegex(click.UsageError, "wants the form https://host:port"):
                RemoteOptions(url, str(self.token), None).server()

    def test_token_file(self) -> None:
        """It holds one token; else it is told, without what it holds."""
        for text in ("", "\n", "two words", "a\nb", "a\x00", "ü"):
            self.token.write_text(text)
            with self.assertRaisesRegex(click.UsageError, "there must be one token in it, and nothing else"):
                RemoteOptions("https://a", str(self.token), None).server()
        with self.assertRaisesRegex(click.UsageError, "No such file"):
            RemoteOptions("https://a", str(self.folder / "nothing"), None).server()

    def test_ca_file(self) -> None:
        """The system's list isn't asked where another is given; one without a certificate is told."""
        pem = self.folder / "ca.pem"
        for text in (None, "", "rubbish"):
            if text is not None:
                pem.write_text(text)
            with self.assertRaisesRegex(click.UsageError, "CA file"):
                RemoteOptions("https://a", str(self.token), str(pem)).server()
        pem.write_bytes(self_signed("a", ca=True).pem())
        connection = RemoteOptions("https://a", str(self.token), str(pem)).server().connection(3)
        self.assertIsInstance(connection, http.client.HTTPSConnection)
        context: ssl.SSLContext = connection._context  # type: ignore[attr-defined]
        self.assertEqual((context.verify_mode, context.check_hostname), (ssl.CERT_REQUIRED, True))
        self.assertEqual(len(context.get_ca_certs()), 1)
        self.assertGreaterEqual(context.minimum_version, ssl.TLSVersion.TLSv1_2)

    def test_trouble(self) -> None:
        """Each has its words; none lets a check be made here instead."""
        server = RemoteOptions("https://a", str(self.token), None).server()
        untrusted = ssl.SSLCertVerificationError(1, "x")
        untrusted.verify_message = "unable to get local issuer certificate"
        for error, text in (
            (untrusted, "isn't trusted: unable to get local issuer certificate (--ca-file FILE"),
            (ssl.SSLError(1, "wrong version number"), "doesn't speak TLS as it should"),
            (TimeoutError(), "doesn't answer within 5 seconds"),
            (ConnectionRefusedError(111, "Connection refused"), "can't be reached: Connection refused"),
            (http.client.RemoteDisconnected("gone"), "can't be reached: gone"),
            (http.client.BadStatusLine("x"), "makes no sense: x"),
            (ValueError("no JSON"), "makes no sense: no JSON"),
        ):
            found = server.trouble(error, 5)
            self.assertIn(text, found.message)
            self.assertEqual((found.exit_code, isinstance(found, NotRunning)), (2, False))

    def test_trouble_of_a_socket(self) -> None:
        """So have those of the control socket; only a gateway that isn't there lets a check be made here."""
        place = ControlSocket(Path("/run/seg.sock"))
        for error, kind, text in (
            (FileNotFoundError(), NotRunning, "nobody listens at /run/seg.sock"),
            (ConnectionRefusedError(), NotRunning, "nobody listens at /run/seg.sock"),
            (PermissionError(), GatewayError, "you may not use /run/seg.sock"),
            (TimeoutError(), GatewayError, "doesn't answer within 5 seconds"),
            (ValueError("x"), GatewayError, "no sense to be had from /run/seg.sock: x"),
        ):
            found = place.trouble(error, 5)
            self.assertIs(type(found), kind)
            self.assertIn(text, found.message)
