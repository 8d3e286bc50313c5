"""Changes of the configuration: staged for each operator, looked at as a diff, committed or dropped, and undone.

In order of use: `edits` (keys set and removed in a TOML text whose comments stay), `texts` (the two files as texts, read,
checked and written as one), `staging` (what each operator has changed and not committed), `history` (every commit, for
rollback) and `control`, which puts them together and says what may be committed now.
"""
