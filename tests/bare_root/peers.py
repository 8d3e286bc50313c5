"""Run inside a root: a name server at 127.0.0.1, a certificate for the gateway, and a smart host that wants a password.

``peers.py FOLDER`` writes fullchain.pem and privkey.pem to the folder, and the authority's root where the system trusts it from. Then
``ready`` is there as soon as all of it answers.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor

from seg.lab.dnsserver import NameServer
from seg.lab.pki import Authority

HOST, PORT = "127.0.0.2", 465
SMART = Path("/srv/smart")
SETTINGS = f"""[gateway]
hostname = "smtp.example.net"
var = "/srv/smart/var"
[[listener]]
name = "submission"
address = "{HOST}"
port = {PORT}
tls = "implicit"
auth = "required"
certificate = "/srv/smart/own.pem"
"""


def main() -> None:
    """Serve until killed."""
    folder = Path(sys.argv[1])
    authority = Authority()
    own = authority.issue(["mx.example.com"])
    (folder / "fullchain.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in own.chain))
    (folder / "privkey.pem").write_bytes(own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "privkey.pem").chmod(0o600)
    authority.write_root(Path("/usr/local/share/ca-certificates/lab.crt"))
    subprocess.run(["update-ca-certificates"], check=True)
    SMART.mkdir(exist_ok=True)
    authority.issue(["smtp.example.net"]).write(SMART / "own.pem")
    (SMART / "seg.toml").write_text(SETTINGS)
    (SMART / "destinations.toml").write_text("")
    server = NameServer(reactor)  # type: ignore[arg-type]
    server.add("mx.example.com", "A", "127.0.0.1")
    server.add("smtp.example.net", "A", HOST)
    server.start(port=53)
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    (folder / "ready").touch()
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
