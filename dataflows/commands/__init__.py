"""The operator's commands on the topics of a flow: counters, rejected events, rebuild."""
