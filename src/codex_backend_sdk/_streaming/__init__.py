"""Read the backend's event stream: bytes to frames, frames to official events, events to the final response."""
