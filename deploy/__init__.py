"""Running adtally: the embedded broker, the demo, a local Apache Kafka, containers."""

from dataflows.telemetry import terminal

terminal.set_up()
