"""Everything that a response can do wrong, by name."""
