"""A client of the milter protocol, version 6: the one that Sendmail's libmilter speaks, and with it rspamd, OpenDKIM, ClamAV.

Once a message is whole it is told to the milter from CONNECT to the end of its body, as a mail server would have told it while
it came, over a connection of its own. In order of use: `client` (the filter: connects, talks, says goodbye), `connection`
(the Twisted adapter), `session` (one conversation), `commands` (what is said, step by step, with the `macros` of each step),
`replies` (what may be answered), and below all of them, sans I/O, `wire` (frames) and `options` (what both sides agree on).
"""
