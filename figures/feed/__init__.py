"""From the topic `results` to the store: follow the topic, decode its records, apply upserts and tombstones."""
