"""Faults, seeded and repeatable, against a real Apache Kafka, with the oracle as the judge."""
