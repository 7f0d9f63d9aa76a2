"""Benchmarks: adtally and its peers on the same topics of a real Kafka; see README.md in this folder."""
