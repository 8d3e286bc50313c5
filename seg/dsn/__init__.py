"""Failure reports to senders: what RFC 3464 calls delivery status notifications.

In order of use: `fields` (text of strangers made safe for a header or a field), `report_text` (what is said to
people), `composer` (the whole report, behind `IReportComposer`).
"""
