"""Conversations: a history on disk and in memory, with its settings."""
