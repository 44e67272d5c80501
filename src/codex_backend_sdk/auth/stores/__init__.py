"""Credential stores: a file, memory, the system's keyring, Redis, or the store in the Codex CLI's configuration."""
