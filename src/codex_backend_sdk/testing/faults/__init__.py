"""Faults of the simulator: everything that a response can do wrong, by name."""
