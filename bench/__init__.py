"""Measurements side by side with a peer, in one run; results are ratios, and no test depends on them."""
