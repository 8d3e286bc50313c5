"""DNS for a mail sender: what is asked, what came back, and how far it can be believed.

In order of use: `answer` (an answer with its security, or a failure by kind), `backend` (dnspython on a
Twisted reactor), `servers` (the operator's resolvers), `exchange` (one question to one server), `parsed_reply`
(what a reply says), `resolver` (all of these behind `IResolver`), `probe` (does the resolver validate?),
`cache` (TTL cache, denials included; one question in flight), `addresses` (a host's addresses), `routing`
(the MX hosts of a domain with the facts that DANE needs).
"""
