"""Sensors of the Make provider."""
