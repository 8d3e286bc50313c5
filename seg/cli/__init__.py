"""The ``seg`` command: a client of the control socket, quick to start.

In order of use: `main` (the command and its options), `client` (HTTP over the unix socket), `tables` (how lists are shown),
`status`, `queue`, `tail`, `demo` (one module for each verb).
"""
