"""Send model requests over the WebSocket of the backend: `transport` is the entry point."""
