"""Where a login is stored: a file, memory, the keyring, Redis, or what the Codex CLI is configured to use."""
