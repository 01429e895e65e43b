"""Whether figures cross a threshold, and when to check them again. Imports api, paging and output."""
