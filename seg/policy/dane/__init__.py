"""DANE for SMTP (RFC 7672): TLSA records below DNSSEC say which certificate a host has to present.

In order of use: `provider` (looks the records up for one host and says what they demand), `tlsa` (which
records are usable, and what matches; pure), `authenticator` (holds a presented chain against them; pure).
"""
