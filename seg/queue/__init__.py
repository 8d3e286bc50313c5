"""The queue on disk: nothing that got its 250 is lost, and everything can be read with ``less``.

In order of use: `counters` (ids that survive restarts), `files` (names and format of spool files, pure), `commit` (the one
thread that makes files durable, many at a time), `writer` (a message on its way in), `schedule` (when to retry, pure),
`duelist` (who is due, per destination), `lease` (recipients handed out for one attempt), `spool` (all of it behind `IQueue`).
"""
