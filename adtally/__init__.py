"""The front door of adtally: one command for everything. It knows the other packages, and none of them knows it."""
