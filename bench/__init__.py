"""Measure this package beside its peers: `make bench`, or `python -m bench --help`.

Only the standard library is used here, so that the same files run in every peer's own environment.
"""
