"""Processes of a deployment: their ports, their supervision, clusters and containers."""
