"""What every part shares: topics and their records, the metric struct, the settings, the errors. It imports nothing else of adtally."""
