"""A small internet on loopback: real DNS, HTTPS and SMTP servers that behave, or misbehave, as told.

`seg demo` shows the gateway at work on it, and the end-to-end tests run on it. Nothing here shares code
with the gateway's own protocol rooms (`seg.smtp`, `seg.dns`, `seg.tls`), so a fault there can't hide on
both sides.

In order of use: `pki` (a certificate authority), `dnsserver`, `policyhost` (MTA-STS), `behaviour`,
`session` and `receiver` (receiving MTAs), `proxy` (HTTP CONNECT), `world` (what a domain looks like, as
data), `internet` (all of it together), `gateway` (``twistd seg`` as a child process), `cases` (what the
demonstration shows), `findings` (what came of each case, by the mail log), `demo` (runs the cases).
"""
