"""MTA-STS (RFC 8461): what a domain demands of whoever sends mail to it, published in the DNS and by HTTPS.

A TXT record says that there is a policy and names its version (its id); the policy says which MX hosts are the
domain's, and whether they must show a valid certificate. In order of use: `provider` (answers for one MX host
of one attempt), `store` (finds the policy in force: cached or fetched), `record`, `policy` and `match` (the
grammars; pure), `fetch` with `connect`, `proxy`, `verified` and `request` (HTTPS, each check made before the
request is sent), `cache` (memory and disk), `refresh` (renews policies before they
expire), `errors`.
"""
