"""How the dashboard is served: access, headers, compression, probes, and the channel to a page."""
