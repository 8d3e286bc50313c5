"""Runs "Containers" of docs/install.md: ``python -m tests.bare_root.images``, as root, with podman, runc and podman-compose.

Both images are built, on a Debian 13 by debootstrap in the place of the one that the registries have, and run beside each other as compose.yaml
says, up to a first message that is delivered. What is built and mounted ends with the program. It isn't one of `.ci/run`'s steps.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bare_root.commands import commands
from tests.bare_root.root import Failed, Root, archive, place_for_roots, set_apart, why_not

PROJECT = Path(__file__).parents[2]
RELEASE = "trixie"  # as the Dockerfiles say
PROGRAMS = ("podman", "runc", "podman-compose", "script")
ANSWERS = r"mx.example.com\n192.0.2.0/24\n\n\nn\n\nops@example.com\n\n"
# Limits of open files and processes go up to what this machine allows; the Docker format knows a health check.
CONTAINERS = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
runtime = "runc"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{place}/storage"
runroot = "{place}/run"
"""
LIMITS = """
services:
  seg:
    ulimits:
      nofile: {files}
      nproc: {processes}
"""
DOCKER = """
set -eux -o pipefail
export CONTAINERS_CONF={place}/containers.conf CONTAINERS_STORAGE_CONF={place}/storage.conf BUILDAH_FORMAT=docker
docker() {{ shift 3; podman-compose -f packaging/oci/compose.yaml -f {place}/limits.yaml "$@"; }}
export -f docker
terminal() {{ printf "$2" | script -qec "bash -c '$1'" /dev/null; }}
cd {project}
"""
BASE = """
podman import -q --change 'ENV PIP_CERT={certificates}' {place}/base.tar docker.io/library/debian:13-slim
"""
RECEIVER = """[gateway]
hostname = "smtp.example.net"
var = "/var/lib/seg"
[[listener]]
name = "relay"
address = "127.0.0.2"
port = 2525
"""
# A receiving gateway, in the network that the two share; then a message to it.
DELIVERED = """
podman run -d --name receiver --pod "$(podman pod ps -q)" --network container:seg_unbound_1 -v {place}/receiver:/etc/seg seg
podman exec seg_seg_1 seg smtproutes new example.net 127.0.0.2:2525
podman exec seg_seg_1 seg commit -m 'a route' || podman exec seg_seg_1 seg commit
printf 'Subject: first\\n\\nIt works.\\n' | podman exec -i seg_seg_1 seg-sendmail -f me@example.com friend@example.net
left=60
until podman exec seg_seg_1 seg tail | grep 'Message done'; do sleep 1; left=$((left - 1)); [ $left -gt 0 ]; done
podman exec receiver seg tail | grep 'To: <friend@example.net>'
exec 3<>/dev/tcp/127.0.0.1/25
read -r -t 20 greeting <&3
[[ $greeting == '220 mx.example.com '* ]]
podman inspect --format '{{{{.Config.User}}}} {{{{.HostConfig.ReadonlyRootfs}}}} {{{{.EffectiveCaps}}}}' seg_seg_1 | grep '^990:990 true \\[\\]$'
podman exec seg_seg_1 sh -c 'grep NoNewPrivs /proc/self/status' | grep 1
podman stop -t 30 seg_seg_1
podman inspect --format '{{{{.State.ExitCode}}}}' seg_seg_1 | grep '^0$'
podman logs seg_unbound_1 2>&1 | grep 'start of service'
"""


def run(script: str, *, online: bool) -> None:
    """In bash, each line shown first.

    :param online: with the machine's network; else one of its own.
    :raises Failed: a command failed.
    """
    words = ["bash", "-c", script] if online else ["unshare", "-n", "bash", "-c", "ip link set lo up\n" + script]
    done = subprocess.run(
        words, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise Failed(f"status {done.returncode}\n{done.stdout[-8000:]}")


def base(place: Path) -> str:
    """The image that both begin from, as an archive that reaches the package registries as this machine does; where its authorities are."""
    root = Root.unpacked(archive(RELEASE, place), place / "base")
    certificates = "/root/ca.pem" if (root.path / "root/ca.pem").exists() else ""
    subprocess.run(["tar", "-C", str(root.path), "-cf", str(place / "base.tar"), "."], check=True)
    root.remove()
    return certificates


def try_images(place: Path) -> None:
    """All of it.

    :raises Failed: something doesn't hold.
    """
    files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    facts = {"place": place, "project": PROJECT, "files": files, "processes": 4096, "certificates": base(place)}
    for name, text in (("containers.conf", CONTAINERS), ("storage.conf", STORAGE), ("limits.yaml", LIMITS)):
        (place / name).write_text(text.format(**facts))
    (place / "receiver").mkdir()
    (place / "receiver/seg.toml").write_text(RECEIVER)
    (place / "receiver/destinations.toml").write_text("")
    docker, (build, setup, up, status) = (
        DOCKER.format(**facts),
        commands((PROJECT / "docs/install.md").read_text("utf-8"), "Containers"),
    )
    run(docker + BASE.format(**facts) + build, online=True)
    begun = f"terminal '{setup}' '{ANSWERS}'\n{up}\nsleep 5\nterminal '{status}' ''\n"
    run(docker + begun + DELIVERED.format(**facts), online=False)


def main() -> int:
    """Exit status: 0, also where it can't be tried; 1 if something doesn't hold."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if reason := why_not() or (f"{', '.join(missing)} isn't installed" if missing else ""):
        print(f"images: skipped: {reason}")
        return 0
    set_apart("tests.bare_root.images", [])
    with place_for_roots() as place:
        try:
            try_images(place)
        except Failed as error:
            print(f"the images don't hold: {error}")
            return 1
    print("the images hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
