"""From the messages of one partition to counted events: decode, judge, deduplicate, fold. It knows no Kafka client."""
