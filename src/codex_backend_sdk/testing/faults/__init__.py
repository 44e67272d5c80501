"""Named faults of the simulator: the catalog, the syntax, the queue and the middleware."""
