"""Fuzz the code that parses bytes from other programs.

`python -m fuzz --seconds 30` runs each target in `fuzz/targets.py` for that time, with atheris if it is installed, and
otherwise with the random mutation in `fuzz/loop.py`. A target takes bytes and raises if its property does not hold.
tests/fuzz runs the same targets with hypothesis.
"""
