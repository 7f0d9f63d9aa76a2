"""The HTTP API: results for scripts, and what a page asks for."""
