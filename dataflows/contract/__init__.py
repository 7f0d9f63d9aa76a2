"""What every part shares: topics and their records, the sums, the settings, the errors, and what C must know of them.

It imports nothing else of adtally.
"""
