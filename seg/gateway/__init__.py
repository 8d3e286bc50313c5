"""Where the parts of the gateway meet: the service, how it is put together, and what a reload replaces."""
