"""The simulated OAuth issuer: tokens, login pages and device codes."""
