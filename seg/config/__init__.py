"""What the operator may set, and how it is read.

In order of use: `schema` (every section and key of ``etc/seg.toml`` with type, default, unit and meaning),
`destinations` (profiles and SMTP routes of ``etc/destinations.toml``), `load` (TOML files to these values, with faults named
by file, line and key).
"""
