"""The page: what is served, to whom, and what they may order."""
