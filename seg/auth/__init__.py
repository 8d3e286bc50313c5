"""Who hands in mail: the AUTH of SMTP (RFC 4954) by SASL (RFC 4422), for clients outside the relay networks.

In order of use: `sasl_server` (what a listener offers; one `Exchange` for each AUTH command), which drives a machine of
`mechanisms` (`plain`: PLAIN and LOGIN; `scram`: SCRAM-SHA-256 with and without channel binding; pure, they speak in
`mechanism_results`) and asks `backoff` whether the client may guess once more. Whether a password or a proof is right is said by a
checker of `twisted.cred` (`checker`, over the users that `store` holds; or a third party's, found by `plugins`, by the
interfaces in `interfaces`). `users` is the grammar of the users file and `users_file` changes it (`reloading_file`
sees that it has changed), with the keys made by `scram_keys`
(what SCRAM computes stands in `common/scram`, for the client's side too) and the names prepared by `names`;
`binding` ties SCRAM to the TLS session.
"""
