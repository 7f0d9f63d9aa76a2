"""Telemetry of a running process: metrics for Prometheus, and whether it is alive and ready.

`server` answers over HTTP, `families` declares metrics, `flow` has those of the dataflow; generator and dashboard have a module
``telemetry`` of their own. docs/metrics.md is the table of all of them.
"""
