"""Answers as files: CSV, JSON, Arrow and Parquet, and the export of a whole topic."""
