"""The simulated OAuth issuer: tokens, the pages of the login and device codes."""
