"""The command `chat`: a conversation in the terminal, and the saved conversations."""
