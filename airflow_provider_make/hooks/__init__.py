"""Hooks of the Make provider."""
