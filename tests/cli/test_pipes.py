"""Where the output goes: a closed pipe, a full device; and what options of a command add up to."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from seg.cli import main as cli
from seg.cli.client import GatewayClient
from seg.cli.keys import options
from seg.config.receive import Auth, Receive
from seg.config.schema import Delivery
from seg.version import __version__

VERBS = (
    "from seg.cli.output import say; [say('x' * 1000) for _ in range(1000)]",
    "from seg.cli.output import print_json; [print_json(['x' * 1000]) for _ in range(1000)]",
    "from seg.cli.tables import print_table; [print_table((('a', 'left'),), [('x' * 90,)] * 500) for _ in range(50)]",
)


class OutputTests(SynchronousTestCase):
    """Every way in which a verb writes."""

    def run_verb(self, code: str, shell: str) -> tuple[int, str]:
        """Status and errors of what writes, in a shell that sends its output somewhere."""
        done = subprocess.run(
            ["bash", "-c", shell, "bash", sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    def test_closed_pipe(self) -> None:
        """A reader that has enough ends the command without a word."""
        for code in VERBS:
            status, errors = self.run_verb(code, '"$@" | head -c 10 > /dev/null; exit ${PIPESTATUS[0]}')
            self.assertEqual((status, errors), (141, ""), code)

    def test_full(self) -> None:
        """An output that can't take more is one line of error."""
        for code in VERBS:
            status, errors = self.run_verb(code, '"$@" > /dev/full')
            self.assertEqual(status, 1, code)
            self.assertEqual(errors, "seg: the output can't be written: No space left on device\n", code)


def verbs(command: click.Command = cli.main, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every verb that there is, with those below it."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from verbs(below, (*words, name))


class FullOutput(io.TextIOWrapper):
    """Fails as a write to a full device does."""

    def __init__(self, number: int) -> None:
        super().__init__(io.BytesIO(), "utf-8")
        self.number = number

    def write(self, text: str) -> int:
        """Never."""
        if text:
            raise OSError(self.number, os.strerror(self.number))
        return 0


class HelpTests(SynchronousTestCase):
    """What click writes itself: help texts; and what begins without any output."""

    def run_help(self, words: tuple[str, ...], number: int) -> tuple[object, str]:
        """Status and errors of a verb's help, into an output that fails."""
        errors = io.StringIO()
        with mock.patch("sys.stdout", FullOutput(number)), mock.patch("sys.stderr", errors):
            left = self.assertRaises(SystemExit, cli.main, [*words, "--help"], prog_name="seg")
        return left.code, errors.getvalue()

    def test_every_verb(self) -> None:
        """Each verb's help says in one line that a full output can't be written, and ends quietly with its pipe."""
        every = list(verbs())
        self.assertGreater(len(every), 100)
        for words in every:
            full = "seg: the output can't be written: No space left on device\n"
            self.assertEqual(self.run_help(words, errno.ENOSPC), (1, full), words)
            self.assertEqual(self.run_help(words, errno.EPIPE), (141, ""), words)

    def test_programs(self) -> None:
        """As processes: full, closed, and a pipe whose reader has gone; no traceback, and never a status of success for what wasn't written."""
        full, closed = "the output can't be written: No space left on device", "Bad file descriptor"
        for module, words in (
            ("main", "--help"),
            ("main", "--version"),
            ("main", "status --help"),
            ("sendmail", "--help"),
            ("mailq", "--help"),
        ):
            for shell, status, said in (
                ("> /dev/full", (1, 2), full),
                (">&-", (1, 2, 74), closed),
                ("> >(exec true; sleep 1)", (0, 1, 2, 141), ""),
            ):
                code = f"import sys; from seg.cli.{module} import main; sys.exit(main())"
                line = f"{sys.executable} -c '{code}' {words} {shell}"
                done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
                self.assertNotIn("Traceback", done.stderr, line)
                self.assertIn(done.returncode, status, (line, done.stderr))
                self.assertTrue(said in done.stderr or "closed" in done.stderr, (line, done.stderr))

    def test_nothing_done(self) -> None:
        """A closed output ends a verb before it does anything; a closed input is an empty one."""
        code = "import sys; from seg.cli.main import main; from seg.cli.client import GatewayClient as G; "
        code += 'G.post = G.get = lambda *a, **k: sys.stderr.write("asked") and {}; main()'
        line = f"{sys.executable} -c '{code}' --socket x suspenddel a.example"
        done = subprocess.run(["bash", "-c", f"{line} >&-"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, "asked" in done.stderr), (1, False), done.stderr)
        done = subprocess.run(["bash", "-c", f"{line} <&-"], capture_output=True, text=True, check=False)
        self.assertIn("asked", done.stderr)
        self.assertNotIn("isatty", done.stderr)

    def test_sendmail_without_input(self) -> None:
        """A program that hands in mail with its input closed is told so."""
        code = "import sys; from seg.cli.sendmail import main; sys.exit(main())"
        line = f"{sys.executable} -c '{code}' a@b.example <&-"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, os.EX_NOINPUT, done.stderr)
        self.assertEqual(done.stderr, "seg-sendmail: standard input is closed: there is no message\n")


class OptionsTests(SynchronousTestCase):
    """Options made from the schema."""

    def given(self, section: type, *words: str) -> dict[str, Any]:
        """What a command gets."""
        found: dict[str, Any] = {}

        @click.command()
        @options(section)
        def command(**given: Any) -> None:
            found.update({key: value for key, value in given.items() if value is not None})

        result = CliRunner().invoke(command, words)
        self.assertEqual(result.exit_code, 0, result.output)
        return found

    def test_repeated(self) -> None:
        """A list that is given in pieces is all of them, for each key that is a list or a table of lists; nothing given is nothing."""
        words = ("--relay-networks", "10.0.0.0/8", "--relay-networks", "192.0.2.0/24,198.51.100.0/24")
        networks = ["10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24"]
        self.assertEqual(self.given(Receive, *words), {"relay_networks": networks})
        self.assertEqual(
            self.given(Delivery, "--providers", "dane", "--providers", "static"), {"providers": ["dane", "static"]}
        )
        senders = ("--senders", "alice=a@x.test", "--senders", "bob=@y.test; alice=@z.test")
        self.assertEqual(
            self.given(Auth, *senders), {"senders": {"alice": ["a@x.test", "@z.test"], "bob": ["@y.test"]}}
        )
        self.assertEqual(self.given(Receive, "--relay-networks", ""), {"relay_networks": []})
        self.assertEqual(self.given(Receive), {})


class ChangesTests(SynchronousTestCase):
    """Change control, against a gateway that notes what it is asked for."""

    def setUp(self) -> None:
        self.posted: list[str] = []
        self.pending = ""
        self.destinations = ""
        self.text = "[receive]\nmax_recipients = 1\n"

        def get(gateway: object, path: str, **query: Any) -> Any:
            if path == "/v1/configuration":
                files = {"settings": "/etc/seg/seg.toml", "destinations": "/etc/seg/destinations.toml"}
                return {"files": files, "settings": self.text, "destinations": self.destinations}
            return {"diff": self.pending}

        def post(gateway: object, path: str, **body: Any) -> Any:
            self.posted.append(path)
            self.text += "max_message_size = 2048\n"
            return {"diff": "all of what is staged"}

        for name, double in (("get", get), ("post", post)):
            patch = mock.patch.object(GatewayClient, name, double)
            patch.start()
            self.addCleanup(patch.stop)

    def seg(self, *words: str) -> tuple[int, str]:
        """Status and output of a command."""
        result = CliRunner().invoke(cli.main, ["--socket", "x", *words])
        return result.exit_code, result.output

    def test_own_change(self) -> None:
        """A staging command shows its own change alone."""
        status, output = self.seg("receiveconfig", "--max-message-size", "2048")
        self.assertEqual(status, 0, output)
        self.assertIn("+max_message_size = 2048", output)
        self.assertNotIn("all of what is staged", output)

    def test_rollback_asks(self) -> None:
        """A rollback that would replace changes which aren't committed asks; a script says --yes."""
        self.pending = "-a\n+b"
        for words in (("rollbackconfig", "3"), ("rollbackconfig", "3", "--commit"), ("rollbackconfig", "3", "--json")):
            status, output = self.seg(*words)
            self.assertEqual((status, self.posted), (2, []), output)
            self.assertIn("say --yes", output)
        self.assertEqual(self.seg("rollbackconfig", "3", "--yes")[0], 0)
        self.pending = ""
        self.assertEqual(self.seg("rollbackconfig", "3")[0], 0)
        self.assertEqual(self.posted, ["/v1/rollback", "/v1/rollback"])

    def test_json_is_not_asked(self) -> None:
        """With --json, on a terminal too, nothing of one's work is thrown away without --yes, and no question gets into the document."""
        self.pending = "-a\n+b"
        deleted: list[str] = []
        with (
            mock.patch("seg.cli.dialogue.can_ask", lambda: True),
            mock.patch.object(GatewayClient, "delete", lambda gateway, path: deleted.append(path)),
        ):
            for words in (("clearchanges", "--json"), ("rollbackconfig", "3", "--json")):
                status, output = self.seg(*words)
                self.assertEqual((status, self.posted, deleted), (2, [], []), output)
                self.assertIn("with --json say --yes", output)
            for words in (("clearchanges", "--json", "--yes"), ("rollbackconfig", "3", "--json", "--yes")):
                status, output = self.seg(*words)
                self.assertEqual(status, 0, output)
                json.loads(output)
        self.assertEqual((self.posted, deleted), (["/v1/rollback"], ["/v1/changes"]))

    def test_version(self) -> None:
        """`--version` is what everybody types."""
        self.assertEqual(self.seg("--version"), (0, f"seg {__version__}\n"))
        for words in (("--version", "-v"), ("-v", "--version")):
            status, output = self.seg(*words)
            self.assertEqual(status, 0)
            self.assertRegex(output, rf"^seg {__version__}\npython 3\.\S+\ntwisted \S+\n")

    def test_route_without_auth(self) -> None:
        """What a route has besides its hosts can be taken off again, and nothing is left behind."""
        edits: list[Any] = []
        self.patch(sys.modules["seg.cli.staged"], "stage", lambda gateway, given, as_json: edits.extend(given))
        self.destinations = '[route."a.example"]\nhosts = ["b.example"]\nauth = "isp"\nprotocol = "lmtp"\n'
        for words, left in (
            (("--no-auth",), {"protocol": "lmtp"}),
            (("--reset", "auth", "--reset", "protocol"), {}),
            (("--auth", ""), {"protocol": "lmtp"}),
            (("--no-auth", "--tls", "implicit"), {"protocol": "lmtp", "tls": "implicit"}),
        ):
            edits.clear()
            status, output = self.seg("smtproutes", "edit", "a.example", *words)
            self.assertEqual(status, 0, output)
            self.assertEqual(edits[0]["value"], {"hosts": ["b.example"], **left}, words)
        self.assertEqual(self.seg("smtproutes", "edit", "a.example", "--no-auth", "--auth", "x")[0], 2)

    def test_secrets_ask(self) -> None:
        """What can't be had back, users and tokens, isn't deleted without a question."""
        for words in (("user", "delete", "bob"), ("token", "delete", "bob")):
            file = mock.MagicMock()
            file.read.return_value = mock.MagicMock(by_name={"bob": 1})
            with mock.patch(f"seg.cli.{words[0]}._file", lambda context, file=file: file):
                status, output = self.seg(*words)
                self.assertEqual((status, file.change.called), (2, False), output)
                self.assertIn("say --yes", output)
                self.assertEqual(self.seg(*words, "--yes")[0], 0)
                self.assertTrue(file.change.called)
