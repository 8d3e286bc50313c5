"""How an operator talks to the running gateway: HTTP and JSON on a unix socket that only its owner can open, and, where the
configuration says so, over TLS with tokens.

In order of use: `counters` (what has happened, counted from events), `wire` (all operations, what each takes and answers),
`status`, `messages`, `hosts` and others (who answers them, each of the parts that it asks), `openapi` (their description),
`http` (requests and answers as HTTP), `socket` (the unix socket, and who is at its other end), `tcp` (the same over TLS),
`token_access` (who may come in there) and `tokens` (the grammar of the tokens file).
"""
