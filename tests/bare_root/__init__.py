"""What the documents say of installing, done in a bare Debian: ``python -m tests.bare_root [bookworm|trixie]``, as root.

`commands` reads the commands out of docs/install.md and README.md; `root` makes a Debian with nothing in it, by debootstrap, and runs
scripts in it; ``__main__`` is the run. Each script is in namespaces of its own: whatever it mounts and starts ends with it. Where there is
no debootstrap, or nobody is root, it says so and ends with 0. A Debian is kept as an archive in /var/cache/seg-tests, for a week.
"""
