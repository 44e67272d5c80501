"""Fuzzing: what reads foreign bytes, and what has to hold of it whatever they are.

`python -m fuzz --seconds 30` runs every target of the table in `fuzz/targets.py` that long, with atheris where it is
installed and with a loop of its own elsewhere. A target takes bytes and raises when its property does not hold, so
tests/fuzz runs the same targets with hypothesis.
"""
