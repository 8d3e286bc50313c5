"""Where the parts of the gateway meet.

In order of use: `options` (command line and configuration), `assembly` (what needs no folder; `active` is what a reload
replaces of it), `service` (the order of starting and stopping), `folders`, `mail` (what moves messages), `api` (what operators
may ask for), `reload` with `reloadable` (another configuration), `sighup`. Beside it: `watches` (certificates, exemptions, the
clock, memory), `descriptors`, `startup`.
"""
