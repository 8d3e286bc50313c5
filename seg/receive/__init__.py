"""Listeners: mail handed in by SMTP goes into the queue.

It adapts the sans-I/O core `seg.smtp.server` to Twisted and to `seg.queue.interfaces.IQueue`. In order of use:
`listener` (one for each listener: makes sessions, shuts down), `connection_counter` (how many connections there are, from
where), `access` (who may relay), `context` (what sessions share), `protocol` (one connection: octets, TLS with `handshake`, and time
limits, with `timers`), `admission` (who the client is, before it is greeted), `session` (what is known of the client; answers what
the core asks, by the pure functions of `checks`), `transaction` (one message on its way in),
`end_of_data` (how it ends: filters by way of `filtering`, the queue, the reply), `workqueue` (how many are at that
point), `smtp/header_scan` (what is worth knowing of its header), `received_header` (the Received field).
"""
