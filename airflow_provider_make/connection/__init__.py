"""The connection of type ``make``: its fields, settings and form."""
