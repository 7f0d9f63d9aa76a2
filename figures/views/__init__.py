"""Answers: from a snapshot and a view to sums, series, tables and results."""
