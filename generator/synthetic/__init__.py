"""Synthetic events: campaigns, how traffic is shared among them, and faults on purpose."""
