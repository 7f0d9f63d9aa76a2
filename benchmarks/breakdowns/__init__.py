"""What breakdowns cost, and whether a large log with everything at once is counted exactly."""
