"""Hours at a steady rate with restarts."""
