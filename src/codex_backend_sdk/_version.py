"""The version of this package, read by its build."""

__version__ = "1.0.0rc1"
