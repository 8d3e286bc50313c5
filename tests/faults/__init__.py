"""Faults of the machine: kills, losses of power, disks that fail, against the real queue and the real gateway."""
