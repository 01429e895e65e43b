"""The provider side by side with what its users run today: ``make bench``."""
