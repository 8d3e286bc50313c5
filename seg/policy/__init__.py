"""How must this host be reached? Providers answer, the chain folds their answers, `judge` holds a session
against the result.

In order of use: `requirement` (the words: answers, requirement, decision), `chain` (folds the answers of
the providers, in priority order, into one `Decision` per host), `static` (the provider of the profile's TLS
option), `judge` (a session against a decision). All pure: no socket, no reactor; the lookups are made by
the providers.
"""
