"""Definitions that every part shares: topics and their records, the sums, the settings, the errors, and the declarations for C.

It imports nothing else of adtally.
"""
