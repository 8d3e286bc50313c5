"""Delivery: recipients that are due, taken to hosts that their domain's policy allows, and what came of it.

In order of use: `routes` (the next hops of a domain), `connect` (a TCP connection to one address), `smtp_client`
(SMTP on it, one transaction after the other, by a `common/deadline` and with the `connection_errors` that may end it; `content_producer`
is for content too large for one write), `pool` (connections that wait for another message), `connections` (a
connection whose peer satisfies the policy), `attempt` (the whole walk for one message at one domain) and
`scheduler` (which destination comes next, and how much at a time).
"""
