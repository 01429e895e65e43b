"""Operators of the Make provider."""
