"""What the operator may set, and how it is read.

In order of use: `schema` with `receive`, `log` and `submission` (every section and key of ``etc/seg.toml``
with type, default, unit, meaning), `destinations` (profiles and SMTP routes of ``etc/destinations.toml``),
`find` (where the files are), `load` (TOML files to these values, with faults named by file, line and key).
Behind `load`: `source` (a parsed file and the line of each key), `values`, `units` and `syntax` (one value),
`settings_file` with `checks`, and `destinations_file` (a whole file), `problems` (faults collected).
`reference` makes the shipped files and the documentation from the schema.
"""
