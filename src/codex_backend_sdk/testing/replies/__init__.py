"""Replies of the simulator: default items, event streams and error messages."""
