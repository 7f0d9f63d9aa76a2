"""Running adtally: the embedded broker, the demo, a local Apache Kafka, containers."""
