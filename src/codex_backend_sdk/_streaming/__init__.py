"""Reading a response of the backend: from the bytes of its body to official events or to the final response."""
