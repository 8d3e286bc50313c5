"""The queue on disk: nothing that got its 250 is lost, and everything can be read with ``less``.

In order of use: `counters` (ids that survive restarts), `files` (names and format of spool files, pure),
`disk` (what is asked of the file system), `commit` (the one thread that makes files durable, many at a
time), `changes` (what it is given to do), `writer` (a message on its way in), `schedule` (when to retry,
pure), `record` (a message in memory), `duelist` (who is due, per destination), `ledger` (all records),
`content`, `lease` (recipients handed out for one attempt), `outcomes` (what an attempt changes, pure),
`durable` (changes that must happen), `reports` (each failure told exactly once), `custody` (from an outcome
to the files), `scan` (the start), `operators` (commands), `spool` (all of it behind `IQueue`). `inline`
holds the doubles.
"""
