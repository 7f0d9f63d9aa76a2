"""Intake of the messages of one partition: decode, judge, deduplicate, fold. It does not know the Kafka client."""
