"""Triggers of the Make provider."""
