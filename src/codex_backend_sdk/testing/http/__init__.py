"""HTTP layer of the simulator: the server thread, the delivery of responses and the recording of requests."""
