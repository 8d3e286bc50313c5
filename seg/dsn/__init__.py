"""Failure reports to senders: what RFC 3464 calls delivery status notifications.

In order of use: `fields` (text of strangers made safe for a header or a field), `report_text` (what is said to
people), `languages` (in which words), `composer` (the whole report, behind `IReportComposer`).

To the postmaster: `postmaster_mail` (messages of the gateway itself), `alerts` (TLS that is required fails), `spool_alerts` (the queue's
files are damaged).
"""
