"""Kafka for a laptop: the embedded broker, a local Apache Kafka, and the topics of a deployment."""
