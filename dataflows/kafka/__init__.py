"""Kafka as adtally uses it: clients, topics, reading and writing whole topics, consumer lag, and why a broker refuses a client."""
