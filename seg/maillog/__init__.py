"""The mail log: what happened, as lines that an operator knows and as JSON.

In order of use: `events/bus` (every stage emits into it; listeners hear it), `files` (the listener that writes
mail.log and mail.jsonl), `lines` (each event class with its lines, put together from `lines_gateway`,
`lines_receive`, `lines_queue`, `lines_delivery`, `lines_policy` and `lines_dns`), `jsonlines` (the same facts
as JSON), `follow` (reads a log that is being written, without a gateway). Behind them: `log_table` (what an
entry of the table is), `timestamps` (times), `rotating_file` (one file,
its rotation and its faults). `reference` makes ``docs/log-lines.md``.
"""
