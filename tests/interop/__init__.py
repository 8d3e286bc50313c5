"""Real programs as neighbours of the gateway: those that hand in mail, and servers that it sends to."""
