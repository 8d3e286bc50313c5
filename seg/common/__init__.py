"""Ground that knows nothing of mail.

Files: `files` (replaced and read as a whole), `lock`. Time: `clock`, `deadline`, `windows` (what happened within
so many seconds), `recent` (what holds for a while). Sizes: `bounded` (tables that hold so much and no more),
`shares` (places of a pool). Work: `threads`, `concurrently`, `spread`, `garbage`. And `plugins`, `endpoint`, `machine`,
`echoes`, `scram`, `json_schema` with `field_codec`, `errors`.
"""
