"""The nouns that every room shares: addresses, envelopes, outcomes, hosts, errors and causes; frozen values only."""
