"""The queue on disk: nothing that got its 250 is lost, and everything can be read with ``less``.

On disk: `paths` (names of spool files, pure), `codec` (the envelope in them, pure), `disk` (what is asked of the file system),
`operations` (changes of files), `commit` (the one thread that makes them durable, many at a time), `durable` (changes that must
happen), `health` (whether the disk can be written), `store` (all of that).

In memory: `index_entry` (a message), `due` (who is due, per destination), `index` (all of them), `room` (how many there may be).

From the one to the other: `interfaces` (what others know of the queue), `ids` (ids that survive restarts), `writer` (a message on its
way in), `content`, `queue` (the only one that changes index and files together), `schedule` (when to retry, pure), `settlement`
(what an attempt changes, pure), `settlements` and `rewrites` (many outcomes of one message at once), `reports` (each failure told exactly
once), `gathering` and `notification` (what the sender is told, when), `patience` and `background` (work that has to be done).

At the start: `scan` and `loading`. For operators: `commands`, `answers`, `corrupt`. `assembly` puts it together.
"""
