"""Settings files: what is read, and how every fault is told."""

from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.load import parse_settings
from seg.config.log import LogLevel
from seg.config.receive import ListenerSettings, ListenerTLS
from seg.config.schema import Settings


def problems(text: str) -> list[str]:
    """The faults of a text, without the file's name."""
    try:
        parse_settings(text, "f")
    except ConfigurationError as error:
        return [line.removeprefix("f:") for line in error.problems]
    return []


FAULTS = {
    "unknown key": (
        "[receive]\nmax_mesage_size = 3\n",
        "2: [receive] max_mesage_size: unknown key; did you mean max_message_size?",
    ),
    "key of another section": (
        "[receive]\nfirst_retry = 3\n",
        "2: [receive] first_retry: unknown key; it belongs into [queue]",
    ),
    "unknown section": ("[gatway]\n", "1: [gatway]: unknown section; did you mean gateway?"),
    "outside": (
        "hostname = 'x'\n",
        "1: hostname: stands outside any section; hostname belongs into [gateway]",
    ),
    "section is no table": ("queue = 3\n", "1: [queue]: wants a table"),
    "section as array": ("[[queue]]\n", "1: [queue]: wants a table; write [queue] once"),
    "listener as table": (
        "[listener]\n",
        "1: [listener]: wants an array of tables; write [[listener]] for each",
    ),
    "true for a number": (
        "[receive]\nmax_recipients = true",
        "2: [receive] max_recipients: wants a whole number, found the boolean true",
    ),
    "string for a table": (
        "[auth]\nsenders = 'x'",
        '2: [auth] senders: wants a table of arrays of strings, found the string "x"',
    ),
    "string for an array in a table": (
        "[auth]\nsenders = { 'a@x.test' = 'b@x.test' }",
        '2: [auth] senders: "a@x.test": wants an array of strings, found the string "b@x.test"',
    ),
    "number in an array in a table of its own": (
        "[auth]\n[auth.senders]\n'b@x.test' = []\n'a@x.test' = [1]",
        '4: [auth] senders: "a@x.test": wants a string, found the integer 1',
    ),
    "no address": (
        "[auth]\nsenders = { 'a@x.test' = ['@x.test', 'b'] }",
        '2: [auth] senders: "a@x.test": "b" isn\'t an address, nor "@domain", nor "ALL"',
    ),
    "a check by no rule": (
        "[auth]\ncheck_header_from = true",
        "2: [auth] check_header_from: nothing says which addresses are a user's; set own_address_only, or senders",
    ),
    "number for a boolean": ("[log]\njson = 1", "2: [log] json: wants true or false, found the integer 1"),
    "float for an integer": (
        "[log]\nkeep = 3.0",
        "2: [log] keep: wants a whole number, found the number 3.0",
    ),
    "string for seconds": (
        "[queue]\nlifetime = 'soon'",
        '2: [queue] lifetime: wants a number of seconds (or a duration such as "15m" or "72h"), '
        'found the string "soon"',
    ),
    "string for octets": (
        "[queue]\nmemory = '25M'",
        '2: [queue] memory: wants a whole number of octets (or a size such as "25 MiB"), found the string "25M"',
    ),
    "not a number": ("[queue]\nlifetime = nan", "2: [queue] lifetime: wants a finite number, found nan"),
    "too long a duration": (
        "[queue]\njitter = 0.9",
        "2: [queue] jitter: 0.9 is out of range; it must be from 0 to 0.5",
    ),
    "too small": (
        "[log]\nrotate_size = '1 kB'",
        '2: [log] rotate_size: "1 kB" is out of range; it must be at least 1024 octets',
    ),
    "array": (
        "[dns]\nresolvers = '::1'",
        '2: [dns] resolvers: wants an array of strings, found the string "::1"',
    ),
    "array of numbers": (
        "[dns]\nresolvers = [\n 5]",
        "2: [dns] resolvers: wants a string, found the integer 5",
    ),
    "number for a string": (
        "[control]\nmode = 384",
        "2: [control] mode: wants a string, found the integer 384",
    ),
    "date for a string": (
        "[tls]\nca_file = 2024-01-01",
        "2: [tls] ca_file: wants a string, found a date or time",
    ),
    "control character": ('[gateway]\nvar = "a\\nb"', "2: [gateway] var: holds a control character"),
    "choice": ("[log]\nlevel = 'debgu'", '2: [log] level: "debgu" isn\'t one of: debug, info'),
    "choice by type": ("[log]\nlevel = 1", "2: [log] level: wants one of info, debug; found the integer 1"),
    "starttls without certificate": (
        "[[listener]]\n[[listener]]\nport = 26\ntls = 'starttls'",
        "4: [[listener]] tls: starttls needs a certificate; none is set",
    ),
    "key without certificate": (
        "[[listener]]\nkey = 'k.pem'",
        "2: [[listener]] key: a key is set, but no certificate",
    ),
    "same port": (
        "[[listener]]\n[[listener]]\nname = 'b'\naddress = '0.0.0.0'",
        "2: [[listener]] port: 0.0.0.0 port 2525 is taken by another listener (127.0.0.1)",
    ),
    "listener address": (
        "[[listener]]\naddress = 'localhost'",
        '2: [[listener]] address: "localhost" is not an IP address',
    ),
    "listener without address": ("[[listener]]\naddress = ''", "2: [[listener]] address: must not be empty"),
    "network": (
        "[receive]\nrelay_networks = ['x']",
        '2: [receive] relay_networks: "x" is not a network such as 10.0.0.0/8 or 2001:db8::/32',
    ),
    "host bits": (
        "[receive]\nrelay_networks = ['::1',\n '10.0.0.1/8']",
        '2: [receive] relay_networks: "10.0.0.1/8" has bits set behind the prefix; the network is 10.0.0.0/8',
    ),
    "resolver": (
        "[dns]\nresolvers = ['dns.example']",
        '2: [dns] resolvers: "dns.example" is not an IP address',
    ),
    "resolver port": (
        "[dns]\nresolvers = ['[::1]:0']",
        '2: [dns] resolvers: "0" is not a port from 1 to 65535',
    ),
    "hostname": ("[gateway]\nhostname = 'a b'", '2: [gateway] hostname: "a b" is not a host name'),
    "postmaster": (
        "[gateway]\npostmaster = 'me'",
        '2: [gateway] postmaster: "me" is not an address such as postmaster@example.com',
    ),
    "admin API without certificate": (
        "[control]\naddress = '192.0.2.1'",
        "2: [control] address: the admin API is served over TLS only; set certificate (and key), or leave the address empty",
    ),
    "admin API's key without certificate": (
        "[control]\nkey = 'k.pem'",
        "2: [control] key: a key is set, but no certificate",
    ),
    "admin API's address": (
        "[control]\naddress = 'localhost'",
        '2: [control] address: "localhost" is not an IP address',
    ),
    "mode": ("[control]\nmode = '0999'", '2: [control] mode: "0999" is not an octal mode such as "0600"'),
    "wrong family": (
        "[delivery]\nsource_address = '::1'",
        '2: [delivery] source_address: "::1" is an IPv6 address; it belongs into source_address6',
    ),
    "schedule": (
        "[queue]\nmax_retry = 30",
        "2: [queue] max_retry: the longest wait (30 s) is shorter than first_retry (60 s)",
    ),
    "resolver times": (
        "[dns]\ntimeout = 20",
        "1: [dns] lifetime: a question's life (15 s) is shorter than the wait for one answer (timeout, 20 s)",
    ),
    "no static": (
        "[delivery]\nproviders = ['dane']",
        "2: [delivery] providers: static must be among them: it is what enforces the tls option of the profiles",
    ),
    "provider twice": (
        "[delivery]\nproviders = ['static', 'static']",
        "2: [delivery] providers: a provider is named twice",
    ),
    "toml": (
        "[queue]\nfirst_retry = \n",
        "2: not valid TOML: invalid value, column 15; a value is missing: first_retry = ...",
    ),
    "toml at the end": (
        "[queue]\nfirst_retry = [1",
        '2: not valid TOML: unclosed array; a list is written ["...", "..."] and has to be closed',
    ),
    "toml twice": (
        "[queue]\n[queue]\n",
        "2: not valid TOML: cannot declare this one twice, column 7; queue is there already: write it once",
    ),
}

PROXIES = {
    "https://u:geheim@h:1": (
        "must start with http:// (http://[user:password@]host:port); what is fetched through it is "
        "encrypted all the same"
    ),
    "http://u:geheim@h": "lacks its port; write http://[user:password@]host:port",
    "http://u:geheim@:1": "lacks its host; write http://[user:password@]host:port",
    "http://u:gehe/im@h:1": (
        "is not a proxy URL such as http://[user:password@]host:port; percent-encode special characters"
    ),
    "http://u:geheim@h:99999": (
        "is not a proxy URL such as http://[user:password@]host:port; percent-encode special characters"
    ),
    "http://u:geheim@h:1/x": (
        "has more behind the port than it can have; write http://[user:password@]host:port, "
        "percent-encode special characters"
    ),
    "http://u:geheim@h h:1": "has a host that is neither a name nor an address; write http://[user:password@]host:port",
}


class FaultTests(SynchronousTestCase):
    """Each kind of fault, as the line that an operator sees."""

    def test_each_fault_is_one_line(self) -> None:
        """Each fault names line, section, key, what was wanted and what was found."""
        for name, (text, line) in FAULTS.items():
            self.assertEqual(problems(text), [line], name)

    def test_all_at_once(self) -> None:
        """All faults of a file are told together, in the order of its lines."""
        text = "[log]\nlevel = 3\n\n[queue]\njitter = 9\n[[listener]]\n[[listener]]\nprot = 25\n"
        lines = problems(text)
        self.assertEqual([line.split(":")[0] for line in lines], ["2", "5", "8"])

    def test_combinations_wait_for_good_values(self) -> None:
        """A key with a fault isn't also blamed for not fitting another key."""
        self.assertEqual(len(problems("[queue]\nfirst_retry = 'x'\nmax_retry = 1\n")), 1)

    def test_proxy_is_never_shown(self) -> None:
        """A fault in the proxy URL is told without any part of it, since it may hold a password."""
        for value, fault in PROXIES.items():
            lines = problems(f'[mta_sts]\nproxy = "{value}"\n')
            self.assertEqual(lines, [f"2: [mta_sts] proxy: {fault}"])
        self.assertNotIn("geheim", problems('[mta_sts]\nproxy = ["http://u:geheim@h:1"]')[0])

    def test_secret_isnt_in_the_repr(self) -> None:
        """Settings that end up in a traceback or a log don't tell the password."""
        settings = parse_settings('[mta_sts]\nproxy = "http://u:geheim@h:3128"\n')
        self.assertEqual(settings.mta_sts.proxy, "http://u:geheim@h:3128")
        self.assertNotIn("geheim", repr(settings))

    def test_lines_behind_long_values(self) -> None:
        """Multi-line strings and arrays that look like keys and tables don't shift or capture positions."""
        text = (
            "[receive]\nrelay_networks = [\n  # ] no end\n  '::1',\n]\n"
            "[gateway]\nvar = '''\n[log]\nlevel = 1\n'''\n[log]\nlevel = 2\n"
        )
        self.assertEqual(
            problems(text),
            [
                "7: [gateway] var: holds a control character",
                "12: [log] level: wants one of info, debug; found the integer 2",
            ],
        )

    def test_dotted_and_inline(self) -> None:
        """Keys written dotted or in an inline table are found too."""
        text = "log.level = 3\nqueue = { jitter = 9 }\n"
        self.assertEqual(
            [line.split(": ")[:2] for line in problems(text)], [["1", "[log] level"], ["2", "[queue] jitter"]]
        )

    def test_windows_lines(self) -> None:
        """Lines that end in CR LF are counted like others."""
        self.assertEqual([line[:2] for line in problems("[log]\r\n\r\nlevel = 3\r\n")], ["3:"])


class ValueTests(SynchronousTestCase):
    """Files without fault."""

    def test_empty_file(self) -> None:
        """An empty file is all defaults."""
        self.assertEqual(parse_settings(""), Settings())

    def test_table_of_arrays(self) -> None:
        """In one line or as a table of its own."""
        for text in (
            "senders = { 'a@x.test' = ['@x.test'], b = ['ALL'] }",
            "[auth.senders]\n'a@x.test' = ['@x.test']\nb = ['ALL']",
        ):
            auth = parse_settings(f"[auth]\n{text}\n", "f").auth
            self.assertEqual(auth.senders, {"a@x.test": ("@x.test",), "b": ("ALL",)})
        self.assertEqual(parse_settings("", "f").auth.senders, {})

    def test_values(self) -> None:
        """Values of every kind arrive with their type."""
        settings = parse_settings(
            """
            [[listener]]
            name = "in"
            address = "::"
            port = 25
            tls = "STARTTLS"
            certificate = "c.pem"
            [[listener]]
            address = "0.0.0.0"
            port = 25
            [queue]
            first_retry = 30
            lifetime = "72h"
            memory = "64 KiB"
            [log]
            level = "debug"
            json = false
            [dns]
            resolvers = ["192.0.2.1:5353", "[2001:db8::1]:53", "2001:db8::2"]
            """
        )
        self.assertEqual(
            settings.listener[0], ListenerSettings("in", "::", 25, tls=ListenerTLS.STARTTLS, certificate="c.pem")
        )
        self.assertEqual(settings.listener[1].port, 25)
        self.assertIsInstance(settings.queue.first_retry, float)
        self.assertEqual((settings.queue.lifetime, settings.queue.memory), (259200.0, 65536))
        self.assertEqual((settings.log.level, settings.log.json), (LogLevel.DEBUG, False))
        self.assertEqual(len(settings.dns.resolvers), 3)

    def test_free_ports_dont_clash(self) -> None:
        """Any number of listeners may ask for a free port."""
        self.assertEqual(problems("[[listener]]\nport = 0\n[[listener]]\nname = 'b'\nport = 0\n"), [])
