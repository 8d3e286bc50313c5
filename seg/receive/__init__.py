"""The front door: mail handed in by SMTP goes into the queue.

It adapts the sans-I/O core `seg.smtp.server` to Twisted and to `seg.queue.interfaces.IQueue`. In order of use:
`factory` (one for each listener: makes sessions, shuts down), `census` (how many connections there are, from
where), `access` (who may relay), `house` (what sessions share), `session` (one connection: octets and time
limits, with `deadlines`), `intake` (answers what the core asks), `transaction` (one message on its way in),
`conclusion` (how it ends: filters by way of `filtering`, the queue, the reply), `workqueue` (how many are at that
point), `header` (what is worth knowing of its header), `trace` (the Received field).
"""
