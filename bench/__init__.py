"""Compare this package with its peers: `make bench`, or `python -m bench --help`.

The modules that run in the environments of the peers import only the standard library.
"""
