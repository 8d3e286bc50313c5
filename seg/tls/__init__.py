"""TLS as a mail sender needs it: connect first, judge afterwards, and say every mismatch.

Handshakes are made without verification; before the next SMTP or HTTP byte is sent the presented chain is
judged here, by pure functions of certificates, trust and time. In order of use: `peer` (what was presented,
what is trusted, what was found), `roots` (whom we trust), `context` (OpenSSL contexts and connection
creators for both directions), `names` (RFC 9525), `chain` (a path to a trust anchor), `webpki` (the
authenticator of MTA-STS and of the profile's verify options).
"""
