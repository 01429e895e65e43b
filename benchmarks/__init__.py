"""Compare the provider with the tools that its users run today: ``make bench``."""
