"""Mail for this machine: aliases, and who gets the mail of its users."""
