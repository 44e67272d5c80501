"""The simulated Codex backend: routes, request validation and usage limits."""
