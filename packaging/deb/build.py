#!/usr/bin/env python3
"""Builds the Debian package: ``python3 packaging/deb/build.py [folder]`` leaves ``seg_VERSION-1_ARCH.deb`` there (else in ``dist``).

The package brings the Python libraries that seg was tested with (packaging/requirements.txt, by hash) in a private environment below
/usr/lib/seg: Debian's own Twisted is too old. One package serves each Debian whose Python is in `PYTHONS`: compiled modules carry the
Python they are for in their names, so they stand side by side. Needs python3-venv, dpkg-deb and PyPI, no debhelper, no root.
"""

from __future__ import annotations

import filecmp
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
PYTHONS = ("3.11", "3.12", "3.13")  # Debian 12 has 3.11, Debian 13 has 3.13
GLIBC = 36  # Debian 12 has glibc 2.36: wheels made for that or an older one
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PRIVATE = Path("usr/lib/seg")
PROGRAMS = {
    "seg": "seg.cli.main:main",
    "seg-sendmail": "seg.cli.sendmail:main",
    "seg-mailq": "seg.cli.mailq:main",
    "twistd": "twisted.scripts.twistd:run",
}
LINKS = {
    "usr/bin/seg": "../lib/seg/bin/seg",
    "usr/bin/seg-sendmail": "../lib/seg/bin/seg-sendmail",
    "usr/bin/seg-mailq": "../lib/seg/bin/seg-mailq",
    "usr/bin/mailq": "seg-mailq",
    "usr/sbin/sendmail": "../bin/seg-sendmail",
    "usr/lib/sendmail": "../sbin/sendmail",  # Debian policy 11.6
    "usr/share/man/man1/mailq.1.gz": "seg-mailq.1.gz",
    "usr/share/man/man1/newaliases.1.gz": "seg-sendmail.1.gz",
    "usr/share/man/man8/sendmail.8.gz": "../man1/seg-sendmail.1.gz",
}
# What differs from Python to Python, or isn't needed.
LEFT_OUT = re.compile(r"\.dist-info/(RECORD|WHEEL)$|\.data/(scripts|data|headers)/|/newsfragments/")


def main() -> None:
    """Build it."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "dist").absolute()
    target.mkdir(parents=True, exist_ok=True)
    version = project_version() + "-1"
    architecture = output("dpkg", "--print-architecture")
    os.environ.setdefault("SOURCE_DATE_EPOCH", str(last_change()))
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="seg-deb-") as name:
        folder = Path(name)
        root = folder / "root"
        unpack(fetch(folder, MACHINES[architecture]), root / PRIVATE / "lib" / "python3" / "site-packages")
        environment(root / PRIVATE)
        system_files(root)
        documentation(root, version)
        control(root, version, architecture)
        package = target / f"seg_{version}_{architecture}.deb"
        same_time(root)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, package], check=True)
    print(package)


def output(*command: str) -> str:
    """What a program prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def project_version() -> str:
    """The version of seg."""
    found = re.search(r'__version__ = "([^"]+)"', (PROJECT / "seg" / "version.py").read_text("utf-8"))
    assert found is not None
    return found[1]


def last_change() -> int:
    """When the source was changed last: two builds of one commit are the same."""
    try:
        return int(output("git", "-C", str(PROJECT), "log", "-1", "--format=%ct"))
    except (OSError, subprocess.CalledProcessError):
        return int((PROJECT / "CHANGELOG.md").stat().st_mtime)


def fetch(folder: Path, machine: str) -> list[Path]:
    """All wheels: those of requirements.txt for each Python, and that of seg."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv" / "bin" / "pip", "--quiet", "--disable-pip-version-check"]
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 16, -1)]
    platforms += [f"--platform=manylinux2014_{machine}"]
    asked = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation=cp", *platforms]
    asked += ["-r", PROJECT / "packaging" / "requirements.txt"]
    downloads = [
        subprocess.Popen([*pip, "download", *asked, f"--python-version={python}", "-d", folder / "wheels" / python])
        for python in PYTHONS
    ]
    source = folder / "source"  # building leaves traces
    wanted = ("pyproject.toml", "README.md", "LICENSE", "seg", "twisted", "etc", "packaging")
    source.mkdir()
    for each in wanted:
        if (PROJECT / each).is_dir():
            shutil.copytree(
                PROJECT / each, source / each, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "dropin.cache")
            )
        else:
            shutil.copy(PROJECT / each, source / each)
    subprocess.run([*pip, "wheel", "--no-deps", source, "-w", folder / "wheels" / "seg"], check=True)
    ends = [download.wait() for download in downloads]  # all of them: none may write on into a folder that goes away
    if any(ends):
        raise SystemExit("the libraries of packaging/requirements.txt couldn't be fetched (see above)")
    return sorted((folder / "wheels").rglob("*.whl"))


def unpack(wheels: list[Path], packages: Path) -> None:
    """The content of all wheels in one folder. Files of one name have to be the same, whichever Python they are for."""
    with tempfile.TemporaryDirectory(prefix="seg-wheel-") as name:
        for number, wheel in enumerate(wheels):
            each = Path(name) / str(number)
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(each)
            for file in sorted(path for path in each.rglob("*") if path.is_file()):
                place = file.relative_to(each).as_posix()
                if LEFT_OUT.search(place):
                    continue
                put(file, packages / re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", place))


def put(file: Path, place: Path) -> None:
    """One file of a wheel."""
    if place.exists():
        if not filecmp.cmp(file, place, shallow=False):
            raise SystemExit(f"{place.name} isn't the same for each Python: {file} and {place}")
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)


def environment(private: Path) -> None:
    """A virtual environment as venv makes it, that belongs to whatever Python the system has, and its programs."""
    (private / "bin").mkdir()
    (private / "bin" / "python3").symlink_to("/usr/bin/python3")
    (private / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for python in PYTHONS:
        (private / "lib" / f"python{python}").symlink_to("python3")
    for name, entry in PROGRAMS.items():
        module, _, function = entry.partition(":")
        script(
            private / "bin" / name,
            f"#!/{PRIVATE}/bin/python3\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n",
        )


def script(file: Path, text: str) -> None:
    """A program."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def system_files(root: Path) -> None:
    """Units, users, folders, and the commands of a mail transport agent."""
    packaging = PROJECT / "packaging"
    for source, place in (
        (packaging / "sysusers.d" / "seg.conf", "usr/lib/sysusers.d/seg.conf"),
        (packaging / "tmpfiles.d" / "seg.conf", "usr/lib/tmpfiles.d/seg.conf"),
        (packaging / "systemd" / "seg.service", "usr/lib/systemd/system/seg.service"),
        (packaging / "systemd" / "seg.socket", "usr/lib/systemd/system/seg.socket"),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(source.read_text("utf-8").replace("/opt/seg/", f"/{PRIVATE}/"), "utf-8")
    script(
        root / "usr/bin/newaliases",
        "#!/bin/sh\n# The gateway reads its aliases by itself.\nexec /usr/sbin/sendmail -bi\n",
    )
    script(root / "usr/share/python3/runtime.d/seg.rtupdate", (HERE / "rtupdate").read_text("utf-8"))
    for place, target in LINKS.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(target)
    completion = root / "usr/share/bash-completion/completions/seg"
    completion.parent.mkdir(parents=True)
    python = root / PRIVATE / "bin" / "seg"
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / PRIVATE / "lib/python3/site-packages"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    shown = subprocess.run(
        [sys.executable, python, "completion", "bash"], env=environment, check=True, stdout=subprocess.PIPE
    )
    completion.write_bytes(shown.stdout)


def documentation(root: Path, version: str) -> None:
    """Manual pages, the documents, the configuration as it is shipped, licences, and what changed."""
    for page in sorted((PROJECT / "packaging" / "man").iterdir()):
        zipped(root / "usr/share/man/man1" / f"{page.name}.gz", page.read_bytes())
    docs = root / "usr/share/doc/seg"
    (docs / "examples").mkdir(parents=True)
    for page in sorted((PROJECT / "docs").rglob("*.md")):
        place = docs / page.relative_to(PROJECT / "docs")
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(page, place)
    for file in sorted((PROJECT / "etc").glob("*.toml")):
        shutil.copyfile(file, docs / "examples" / file.name)
    zipped(docs / "changelog.gz", (PROJECT / "CHANGELOG.md").read_bytes())
    date = formatdate(int(os.environ["SOURCE_DATE_EPOCH"]))
    entry = f"seg ({version}) stable; urgency=medium\n\n  * Release {version[:-2]}: see changelog.gz.\n\n -- {maintainer()}  {date}\n"
    zipped(docs / "changelog.Debian.gz", entry.encode())
    (docs / "copyright").write_text((HERE / "copyright").read_text("utf-8") + licences(root), "utf-8")
    overrides = root / "usr/share/lintian/overrides/seg"
    overrides.parent.mkdir(parents=True)
    shutil.copyfile(HERE / "lintian-overrides", overrides)


def zipped(file: Path, data: bytes) -> None:
    """A file as gzip -9n makes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(data, 9, mtime=0))


def licences(root: Path) -> str:
    """A line for each library that is brought along; the texts of the licences stand beside it."""
    lines = ["", "Libraries that the package brings, below /usr/lib/seg, each with its licence:", ""]
    for metadata in sorted((root / PRIVATE).rglob("*.dist-info/METADATA")):
        text = metadata.read_text("utf-8").partition("\n\n")[0]
        fields = {name: value for name, _, value in (line.partition(": ") for line in reversed(text.splitlines()))}
        declared = fields.get("License-Expression") or fields.get("License") or "see there"
        place = metadata.parent.relative_to(root)
        lines.append(f"{fields['Name']} {fields['Version']}: {declared.strip()} (/{place})")
    return "\n".join(lines) + "\n"


def maintainer() -> str:
    """Who builds it, as Debian's tools are told."""
    return f"{os.environ.get('DEBFULLNAME', 'seg developers')} <{os.environ.get('DEBEMAIL', 'seg@packages.invalid')}>"


def control(root: Path, version: str, architecture: str) -> None:
    """What dpkg wants to know."""
    folder = root / "DEBIAN"
    folder.mkdir()
    files = sorted(
        path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts
    )
    sums = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files)
    (folder / "md5sums").write_text("".join(sums), "utf-8")
    above = PYTHONS[-1].partition(".")
    facts = {
        "@VERSION@": version,
        "@ARCHITECTURE@": architecture,
        "@MAINTAINER@": maintainer(),
        "@SIZE@": str(sum(path.stat().st_size for path in files) // 1024),
        "@LEAST@": PYTHONS[0],
        "@BELOW@": f"{above[0]}.{int(above[2]) + 1}",
        "@GLIBC@": f"2.{GLIBC}",
    }
    text = (HERE / "control").read_text("utf-8")
    for name, value in facts.items():
        text = text.replace(name, value)
    (folder / "control").write_text(text, "utf-8")
    for name in ("postinst", "prerm", "postrm"):
        script(folder / name, (HERE / name).read_text("utf-8"))


def same_time(root: Path) -> None:
    """Nothing in the package is younger than its source."""
    moment = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in root.rglob("*"):
        os.utime(path, (time.time(), moment), follow_symlinks=False)


if __name__ == "__main__":
    main()
