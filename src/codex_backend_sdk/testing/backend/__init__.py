"""The simulated Codex backend: routes, request validation, limits and models."""
