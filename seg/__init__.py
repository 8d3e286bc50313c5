"""seg: a mail gateway that sends mail only where its TLS policy allows, and can always say why.

A message walks through the rooms of this package in a straight line: ``receive`` takes it in by SMTP,
``queue`` makes it durable, ``deliver`` asks ``policy`` (by DANE, MTA-STS and the operator's own options)
how each MX host must be reached, sends it, and what fails for good goes to ``dsn``. Every step emits one
event; ``maillog`` turns events into the mail log. ``docs/flow.md`` tells the same story at length.
"""
