"""WebSocket layer of the simulator: the connection, the delivery of responses and the session of a client."""
