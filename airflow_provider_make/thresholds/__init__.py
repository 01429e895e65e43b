"""Whether figures cross a threshold, and when to check them again."""
