"""Routing of the model requests of a workspace."""
