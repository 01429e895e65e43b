"""Every entry of a query exactly once, although scenarios come and go between pages. Imports api only."""
