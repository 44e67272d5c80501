"""HTTP for the simulator: the server thread, delivery of responses and recording of requests."""
