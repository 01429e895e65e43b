"""Every entry of a query exactly once, even if scenarios are created or deleted while pages are read."""
