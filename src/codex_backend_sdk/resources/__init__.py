"""The official resources on the Codex backend, and the ones that only this backend has."""
