"""Delivery: recipients that are due, taken to hosts that their domain's policy allows, and what came of it.

In order of use: `routes` (the next hops of a domain), `connect` (a TCP connection to one address), `sender`
(SMTP on it, one transaction after the other, by a `deadline` and with the `faults` that may end it; `flow`
is for content too large for one write), `pool` (connections that wait for another message), `session` (a
connection whose peer satisfies the policy), `attempt` (the whole walk for one message at one domain) and
`engine` (which destination comes next, and how much at a time).
"""
