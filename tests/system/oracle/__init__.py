"""An independent oracle: what the topics must hold, worked out again from the log alone.

It shares no code with the engine: it reads the contract (docs/contract.md) with Python's json and its own arithmetic, and sums with polars.
"""
