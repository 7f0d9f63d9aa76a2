"""The rows that are held in memory, and consistent snapshots of them."""
