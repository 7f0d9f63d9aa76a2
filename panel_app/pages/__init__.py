"""The pages: overview, Explore and Data."""
