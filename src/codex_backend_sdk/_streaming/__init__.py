"""Read response bodies: from bytes to the official events or the final response."""
