"""The local server of `codex-backend serve`: an OpenAI-compatible server for the programs of one user."""
