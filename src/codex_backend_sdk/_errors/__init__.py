"""Decide what a failure means, which exception reports it, and whether to send the request again."""
