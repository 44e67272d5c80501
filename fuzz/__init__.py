"""Fuzzing of the code that parses bytes from other programs.

`python -m fuzz --seconds 30` runs each target in `fuzz/targets.py` for that time, with atheris where it is installed
and with the loop in `fuzz/loop.py` elsewhere. A target takes bytes and raises when its property does not hold. tests/fuzz
runs the same targets with hypothesis.
"""
