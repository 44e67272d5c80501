"""Translate between Chat Completions and Responses, without I/O: parameters, messages, completions and chunks."""
