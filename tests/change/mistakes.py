"""Mistakes that people make in the two files, each with the line, the key and the cure that the answer has to name."""

# ruff: noqa: E501  (a table)

from __future__ import annotations

import datetime
from pathlib import Path

import attrs

from tests.certificates import Authority


@attrs.frozen
class Mistake:
    """One of them. ``FOLDER`` in a text stands for the folder of the configuration."""

    name: str
    line: int  # 0 = the file as a whole
    key: str  # as the answer names it
    cure: str  # a part of what the answer says besides
    settings: str | bytes = ""
    destinations: str | bytes = ""
    at_start: bool = True  # whether a start is refused, too


def lay_out(folder: Path) -> None:
    """The files that the mistakes name."""
    now = datetime.datetime.now(datetime.UTC)
    root = Authority.root(now=now)
    good, other = root.leaf("mx.example.com", now=now), root.leaf("other.example", now=now)
    old = root.leaf("mx.example.com", now=now, days=(-100, -10))
    (folder / "good.pem").write_bytes(good.pem() + good.key_pem())
    (folder / "cert.pem").write_bytes(good.pem())
    (folder / "other.key").write_bytes(other.key_pem())
    (folder / "garbage.pem").write_text("not a certificate\n")
    (folder / "expired.pem").write_bytes(old.pem() + old.key_pem())
    (folder / "folder.pem").mkdir()


def _listener(text: str) -> str:
    return f'[[listener]]\nname = "a"\nport = 0\n{text}\n'


TLS = 'tls = "starttls"\n'
# fmt: off
MISTAKES = (
    # words and sections
    Mistake("section", 1, "[recieve]", "did you mean receive?", "[recieve]\nmax_recipients = 1\n"),
    Mistake("array of tables as a table", 1, "[listener]", "write [[listener]] for each", "[listener]\nport = 1\n"),
    Mistake("table as an array", 1, "[receive]", "write [receive] once", "[[receive]]\nmax_recipients = 1\n"),
    Mistake("filter as a table", 1, "[filter]", "write [[filter]] for each", "[filter]\nname = \"a\"\n"),
    Mistake("group as a table", 1, "[sender_group]", "write [[sender_group]]", "[sender_group]\nname = \"a\"\n"),
    Mistake("subscription as a table", 1, "[log_subscription]", "write [[log_subscription]]", "[log_subscription]\nname = \"a\"\n"),
    Mistake("key outside", 1, "hostname", "belongs into [gateway]", 'hostname = "mx.example.com"\n'),
    Mistake("key", 2, "[receive] max_recipient", "did you mean max_recipients?", "[receive]\nmax_recipient = 1\n"),
    Mistake("key of another section", 2, "[receive] resolvers", "it belongs into [dns]", '[receive]\nresolvers = ["::1"]\n'),
    Mistake("key of a listener", 4, "[[listener]] certifcate", "did you mean certificate?", _listener('certifcate = "x"')),
    Mistake("key with a hyphen", 2, "[dns] max-ttl", "did you mean max_ttl?", "[dns]\nmax-ttl = 5\n"),
    Mistake("destination table", 1, "[destinations]", "did you mean destination?", destinations='[destinations."a.example"]\ntls = "no"\n'),
    Mistake("key of a destination", 2, '[destination."a.example"] mtasts', "did you mean mta_sts?", destinations='[destination."a.example"]\nmtasts = "on"\n'),
    Mistake("key of a route", 3, '[route."a.example"] port', "unknown key", destinations='[route."a.example"]\nhosts = ["b.example"]\nport = 25\n'),
    # types
    Mistake("boolean in quotes", 2, "[log] json", "wants true or false", '[log]\njson = "yes"\n'),
    Mistake("number in quotes", 4, "[[listener]] backlog", "unknown key", _listener('backlog = "25"')),
    Mistake("port in quotes", 3, "[[listener]] port", "wants a whole number", '[[listener]]\nname = "a"\nport = "25"\n'),
    Mistake("one text for a list", 2, "[receive] relay_networks", "wants an array of strings", '[receive]\nrelay_networks = "10.0.0.0/8"\n'),
    Mistake("list for a text", 2, "[gateway] hostname", "wants a string", '[gateway]\nhostname = ["mx.example.com"]\n'),
    Mistake("number in a list", 2, "[receive] relay_networks", "wants a string", "[receive]\nrelay_networks = [10]\n"),
    Mistake("date for a duration", 2, "[queue] lifetime", 'such as "15m" or "72h"', "[queue]\nlifetime = 2026-01-01\n"),
    Mistake("table of senders", 2, "[auth] senders", "array of strings", '[auth]\nsenders = { bob = "bob@example.com" }\n'),
    Mistake("float for a count", 2, "[receive] max_recipients", "wants a whole number", "[receive]\nmax_recipients = 1.5\n"),
    Mistake("control character", 4, "[[listener]] banner", "control character", _listener('banner = "a\\u0007"')),
    # values
    Mistake("enum", 4, "[[listener]] tls", '"startls" isn\'t one of: starttls', _listener('tls = "startls"')),
    Mistake("enum of a destination", 2, '[destination."a.example"] tls', "isn't one of: required", destinations='[destination."a.example"]\ntls = "require"\n'),
    Mistake("enum of a group", 3, "[[sender_group]] access", "isn't one of: relay", '[[sender_group]]\nmatch = ["ALL"]\naccess = "relays"\n'),
    Mistake("range", 3, "[[listener]] port", "from 0 to 65535", '[[listener]]\nname = "a"\nport = 70000\n'),
    Mistake("negative", 2, "[receive] max_recipients", "at least 1", "[receive]\nmax_recipients = -1\n"),
    Mistake("not a number", 2, "[queue] jitter", "finite number", "[queue]\njitter = nan\n"),
    Mistake("duration", 2, "[queue] lifetime", 'such as "15m" or "72h"', '[queue]\nlifetime = "3 fortnights"\n'),
    Mistake("size", 2, "[receive] max_message_size", 'such as "25 MiB"', '[receive]\nmax_message_size = "25 megs"\n'),
    Mistake("network with bits", 2, "[receive] relay_networks", "the network is 10.0.0.0/8", '[receive]\nrelay_networks = ["10.0.0.1/8"]\n'),
    Mistake("network", 2, "[receive] proxy_networks", "such as 10.0.0.0/8", '[receive]\nproxy_networks = ["10.0.0.0/40"]\n'),
    Mistake("address by name", 3, "[[listener]] address", "is not an IP address", '[[listener]]\nname = "a"\naddress = "localhost"\n'),
    Mistake("resolver by name", 2, "[dns] resolvers", "is not an IP address", '[dns]\nresolvers = ["dns.example"]\n'),
    Mistake("IPv6 as IPv4", 2, "[delivery] source_address", "belongs into source_address6", '[delivery]\nsource_address = "2001:db8::1"\n'),
    Mistake("address for a host name", 2, "[gateway] hostname", "is an IP address, not a host name", '[gateway]\nhostname = "10.0.0.1"\n'),
    Mistake("host name", 2, "[gateway] hostname", "is not a host name", '[gateway]\nhostname = "mx example.com"\n'),
    Mistake("mailbox", 2, "[gateway] postmaster", "such as postmaster@example.com", '[gateway]\npostmaster = "postmaster"\n'),
    Mistake("pattern", 3, "[[sender_group]] match", "did you mean .example?", '[[sender_group]]\nname = "a"\nmatch = ["*.example"]\n'),
    Mistake("recipient", 2, "[recipients] accept", "is not a host name", '[recipients]\naccept = ["user at example"]\n'),
    Mistake("mechanism", 2, "[auth] mechanisms", "did you mean PLAIN? There are PLAIN, LOGIN", '[auth]\nmechanisms = ["PLAN"]\n'),
    Mistake("provider", 2, "[delivery] providers", "did you mean mta-sts?", '[delivery]\nproviders = ["dane", "mta_sts", "static"]\n'),
    Mistake("no provider for profiles", 2, "[delivery] providers", "static must be among them", '[delivery]\nproviders = ["dane"]\n'),
    Mistake("kind of filter", 3, "[[filter]] kind", "did you mean milter?", '[[filter]]\nname = "a"\nkind = "miltr"\naddress = "inet:127.0.0.1:1"\n'),
    Mistake("address of a filter", 3, "[[filter]] address", "inet:host:port", '[[filter]]\nname = "a"\naddress = "127.0.0.1:1"\n'),
    Mistake("listener of a filter", 4, "[[filter]] listeners", "here are ", '[[filter]]\nname = "a"\naddress = "inet:127.0.0.1:1"\nlisteners = ["reley"]\n'),
    Mistake("events", 3, "[[log_subscription]] events", "did you mean delivery? There are delivery", '[[log_subscription]]\nname = "a"\nevents = ["deliver"]\n'),
    Mistake("facility", 3, "[[log_subscription]] facility", "local0", '[[log_subscription]]\nname = "a"\nfacility = "lcoal0"\n'),
    Mistake("ciphers", 2, "[tls] inbound_ciphers", "write an OpenSSL cipher list", '[tls]\ninbound_ciphers = "FOO"\n'),
    Mistake("groups", 2, "[tls] outbound_groups", "such as X25519", '[tls]\noutbound_groups = "X2519"\n'),
    Mistake("mode", 2, "[control] mode", 'such as "0600"', '[control]\nmode = "rw"\n'),
    Mistake("proxy", 2, "[mta_sts] proxy", "must start with http://", '[mta_sts]\nproxy = "proxy:3128"\n'),
    Mistake("language", 2, "[queue] report_languages", "did you mean de? There are de", '[queue]\nreport_languages = ["dee"]\n', at_start=False),
    Mistake("language of a profile", 2, "[bounce_profile.a] report_languages", "did you mean de? There are de", destinations='[bounce_profile.a]\nreport_languages = ["dee"]\n', at_start=False),
    Mistake("domain as a URL", 1, '[destination."https://a.example/"]', "did you mean a.example?", destinations='[destination."https://a.example/"]\ntls = "no"\n'),
    Mistake("domain without quotes", 1, "[destination.a]", 'quote the domain: [destination."a.example"]', destinations='[destination.a.example]\ntls = "no"\n'),
    Mistake("port of a hop", 2, '[route."a.example"] hosts[0]', "from 1 to 65535", destinations='[route."a.example"]\nhosts = ["b.example:99999"]\n'),
    Mistake("no hop", 1, '[route."a.example"]', "write hosts =", destinations='[route."a.example"]\nprotocol = "smtp"\n'),
    Mistake("end of an exemption", 2, '[destination."a.example"] exemption.until', "without quotes", destinations='[destination."a.example"]\nexemption = { until = "2026-12-31", reason = "x" }\n'),
    # what contradicts something else
    Mistake("two listeners of a name", 5, "[[listener]] name", "a name of its own", '[[listener]]\nname = "a"\nport = 0\n[[listener]]\nname = "a"\nport = 0\n'),
    Mistake("two listeners of a port", 6, "[[listener]] port", "taken by another listener", '[[listener]]\nname = "a"\nport = 2601\n[[listener]]\nname = "b"\nport = 2601\n'),
    Mistake("two groups of a name", 5, "[[sender_group]] name", "another group is called", '[[sender_group]]\nname = "a"\nmatch = ["ALL"]\n[[sender_group]]\nname = "a"\nmatch = ["ALL"]\n'),
    Mistake("two filters of a name", 5, "[[filter]] name", "another filter is called", '[[filter]]\nname = "a"\naddress = "inet:127.0.0.1:1"\n[[filter]]\nname = "a"\naddress = "inet:127.0.0.1:2"\n'),
    Mistake("a domain twice", 3, '[destination."A.example"]', "is there twice", destinations='[destination."a.example"]\ntls = "no"\n[destination."A.example"]\ntls = "required"\n'),
    Mistake("TLS without a certificate", 4, "[[listener]] tls", "needs a certificate", _listener('tls = "starttls"')),
    Mistake("AUTH without TLS", 4, "[[listener]] auth", "set tls to starttls", _listener('auth = "required"')),
    Mistake("retry", 3, "[queue] max_retry", "shorter than first_retry", '[queue]\nfirst_retry = "1h"\nmax_retry = "1m"\n'),
    Mistake("resolver's patience", 3, "[dns] lifetime", "shorter than the wait", "[dns]\ntimeout = 10\nlifetime = 5\n"),
    Mistake("API without a certificate", 2, "[control] address", "set certificate", '[control]\naddress = "127.0.0.1"\n'),
    Mistake("key without a certificate", 4, "[[listener]] key", "no certificate", _listener('key = "x.pem"')),
    Mistake("policy without TLS", 3, '[destination."a.example"] mta_sts', "can't work with tls", destinations='[destination."a.example"]\ntls = "no"\nmta_sts = "on"\n'),
    Mistake("bounce profile", 4, "[[listener]] bounce_profile", "did you mean fast?", _listener('bounce_profile = "fsat"'), "[bounce_profile.fast]\nmax_retries = 1\n"),
    Mistake("bounce profile of a destination", 2, '[destination."a.example"] bounce_profile', "did you mean fast?", destinations='[destination."a.example"]\nbounce_profile = "fsat"\n[bounce_profile.fast]\nmax_retries = 1\n'),
    Mistake("AUTH profile", 3, '[route."a.example"] auth', "did you mean isp?", destinations='[route."a.example"]\nhosts = ["b.example"]\nauth = "ips"\n[auth_profile.isp]\nusername = "a"\npassword = "b"\n'),
    Mistake("AUTH profile without a password", 1, "[auth_profile.isp]", "a password, or a password_file", destinations='[auth_profile.isp]\nusername = "a"\n'),
    # files, addresses, groups
    Mistake("certificate missing", 5, "[[listener]] certificate", "seg certconfig new makes one", _listener(TLS + 'certificate = "FOLDER/wanting.crt"')),
    Mistake("certificate misspelt", 5, "[[listener]] certificate", "did you mean good.pem?", _listener(TLS + 'certificate = "FOLDER/god.pem"')),
    Mistake("relative certificate", 5, "[[listener]] certificate", "FOLDER/certificates/mail.pem", _listener(TLS + 'certificate = "certificates/mail.pem"')),
    Mistake("certificate is garbage", 5, "[[listener]] certificate", "no usable PEM certificate", _listener(TLS + 'certificate = "FOLDER/garbage.pem"')),
    Mistake("certificate is a folder", 5, "[[listener]] certificate", "can't be read", _listener(TLS + 'certificate = "FOLDER/folder.pem"')),
    Mistake("certificate without its key", 5, "[[listener]] certificate", "no usable private key", _listener(TLS + 'certificate = "FOLDER/cert.pem"')),
    Mistake("key of another certificate", 5, "[[listener]] certificate", "can't be used with certificate", _listener(TLS + 'certificate = "FOLDER/cert.pem"\nkey = "FOLDER/other.key"')),
    Mistake("key missing", 6, "[[listener]] key", "No such file", _listener(TLS + 'certificate = "FOLDER/cert.pem"\nkey = "FOLDER/no.key"')),
    Mistake("certificate out of date", 5, "[[listener]] certificate", "expired on", _listener(TLS + 'certificate = "FOLDER/expired.pem"'), at_start=False),
    Mistake("one more certificate", 6, "[[listener]] more_certificates[0]", "No such file", _listener(TLS + 'certificate = "FOLDER/good.pem"\nmore_certificates = ["FOLDER/no.pem"]')),
    Mistake("clients' certificates", 6, "[[listener]] client_certificates", "no certificate in it", _listener(TLS + 'certificate = "FOLDER/good.pem"\nclient_certificates = "FOLDER/garbage.pem"')),
    Mistake("certificate of the API", 3, "[control] certificate", "No such file", '[control]\naddress = "127.0.0.1"\ncertificate = "FOLDER/no.pem"\nport = 0\n'),
    Mistake("roots", 2, "[tls] ca_file", "can't be read", '[tls]\nca_file = "FOLDER/no.pem"\n'),
    Mistake("roots that are none", 2, "[tls] extra_ca_file", "no trusted root certificate", '[tls]\nextra_ca_file = "FOLDER/garbage.pem"\n'),
    Mistake("certificate of a destination", 2, '[destination."a.example"] certificate', "No such file", destinations='[destination."a.example"]\ncertificate = "FOLDER/no.pem"\n'),
    Mistake("certificate for all", 2, "[default] certificate", "No such file", destinations='[default]\ncertificate = "FOLDER/no.pem"\n'),
    Mistake("password file", 3, "[auth_profile.isp] password_file", "No such file", destinations='[auth_profile.isp]\nusername = "a"\npassword_file = "FOLDER/no"\n', at_start=False),
    Mistake("address of another machine", 3, "[[listener]] address", "ip address show", '[[listener]]\nname = "a"\naddress = "203.0.113.5"\nport = 2601\n', at_start=False),
    Mistake("metrics at another machine's", 2, "[metrics] address", "this machine has no address", '[metrics]\naddress = "203.0.113.5"\n'),
    Mistake("group of the socket", 2, "[control] group", "there is no group", '[control]\ngroup = "nosuchgroupatall"\n'),
    # no TOML
    Mistake("bracket", 1, "not valid TOML", "close it: [receive]", "[receive\nmax_recipients = 1\n"),
    Mistake("double bracket", 1, "not valid TOML", "close it: [[listener]]", '[[listener]\nname = "a"\n'),
    Mistake("text without quotes", 2, "not valid TOML", 'hostname = "mx.example.com"', "[gateway]\nhostname = mx.example.com\n"),
    Mistake("quotes not closed", 2, "not valid TOML", "close the quotes", '[gateway]\nhostname = "mx.example.com\n'),
    Mistake("apostrophe not closed", 2, "not valid TOML", "close the quotes", "[gateway]\nhostname = 'mx.example.com\n"),
    Mistake("yes", 2, "not valid TOML", "write json = true", "[log]\njson = yes\n"),
    Mistake("True", 2, "not valid TOML", "write json = true", "[log]\njson = True\n"),
    Mistake("colon", 2, "not valid TOML", "write json = ...", "[log]\njson: true\n"),
    Mistake("no value", 2, "not valid TOML", "a value is missing", "[log]\njson =\n"),
    Mistake("list not closed", 2, "not valid TOML", "has to be closed", '[receive]\nrelay_networks = ["10.0.0.0/8"\n'),
    Mistake("mode as a number", 2, "not valid TOML", "a text in quotes", "[control]\nmode = 0660\n"),
    Mistake("key twice", 3, "not valid TOML", "max_recipients is there already", "[receive]\nmax_recipients = 1\nmax_recipients = 2\n"),
    Mistake("table twice", 3, "not valid TOML", "receive is there already", "[receive]\nmax_recipients = 1\n[receive]\n"),
    Mistake("Latin-1", 2, "not UTF-8 text", "save it as UTF-8", '[[listener]]\nbanner = "Gr\u00fc\u00dfe"\n'.encode("latin-1")),
    Mistake("UTF-16", 1, "not UTF-8 text", "save it as UTF-8", "[receive]\n".encode("utf-16")),
)
# fmt: on
