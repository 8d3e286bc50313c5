"""Programs that hand in mail: each is the real one, and what arrives at the far end is what it sent."""
