"""What can happen, one frozen class each, and the bus that brings events to their listeners."""
