"""The queue on disk: nothing that got its 250 is lost, and everything can be read with ``less``.

In order of use: `ids` (ids that survive restarts), `paths` (names of spool files, pure), `codec` (the envelope in them, pure),
`disk` (what is asked of the file system), `commit` (the one thread that makes files durable, many at a
time), `operations` (what it is given to do), `writer` (a message on its way in), `schedule` (when to retry,
pure), `index_entry` (a message in memory), `due` (who is due, per destination), `index` (all of them),
`content`, `interfaces` (recipients handed out for one attempt), `settlement` (what an attempt changes, pure),
`durable` (changes that must happen), `reports` (each failure told exactly once), `state` (from an outcome
to the files), `scan` (the start), `commands` (commands), `spool` (all of it behind `IQueue`).
"""
