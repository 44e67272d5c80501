"""Helpers for other libraries: `codex_backend_sdk.integrations.<library>`.

A module exists only where a library needs more than a client passed to it. It imports its library at its top, so only
programs that have the library import the module, and nothing else in this package does. A module has fewer than 50
lines of code, drives the clients of this package, and defines its public names in `__all__`. docs/integrations.md shows
its use; its tests are in `integrations/test_<library>.py`, which `make integrations` runs with the library.
"""
