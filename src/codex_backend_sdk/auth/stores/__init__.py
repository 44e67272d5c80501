"""The stores of a login: a file, memory, the system's keyring, Redis, or the one the Codex CLI is configured for."""
