"""Benchmarks of the dashboard: refreshes, viewers, the first paint, and how often attention is a false alarm."""
