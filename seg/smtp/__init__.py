"""SMTP (RFC 5321) and its extensions, sans I/O: octets in, events and octets out; no socket, no clock.

In order of use, when mail comes in: `server` (a `ServerConnection` is fed what arrives and says what
happened; the adapter answers, by `server_session`), which reads with `lines` (strict CRLF command lines), `commands` (verbs and
MAIL/RCPT parameters), `address` (paths by the grammar of RFC 5321 §4.1.2) and `dot_stuffing` (the transparency of
§4.5.2), and decides by `server_table` (what may come in which state). When mail goes out: `client`, which
writes commands, reads with `reply_parser`, goes on with each as `client_session` says, and sends content through `dot_stuffing.DotEncoder`.
"""
