"""Pure functions and state machines: no I/O, no clock, no randomness, no await."""
