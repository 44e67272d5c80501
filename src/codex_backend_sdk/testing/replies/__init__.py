"""The simulator's replies: the default one, the events that carry a reply, and the backend's error messages."""
