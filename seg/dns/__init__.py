"""DNS for a mail sender: what is asked, what came back, and how far it can be believed.

In order of use: `answer` (an answer with its security, or a failure by kind), `backend` (dnspython on a Twisted reactor),
`resolver` (the operator's resolvers behind `IResolver`), `cache` (TTL cache, denials included; one question in flight),
`routing` (the MX hosts of a domain with the facts that DANE needs).
"""
