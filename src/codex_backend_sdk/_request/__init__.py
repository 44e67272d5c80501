"""Turn an official call into the HTTP request that the Codex backend accepts."""
