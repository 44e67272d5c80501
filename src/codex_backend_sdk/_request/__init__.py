"""Prepare, shape and sign the requests for the Codex backend."""
