"""The interactive ways to log in: a browser with a local callback server, or a device code."""
