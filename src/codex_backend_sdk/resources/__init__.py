"""Resources of the clients: those of openai on the Codex backend, and `client.codex`."""
