"""The state of the pipeline from an event to a figure: progress of the flow, rejected events, what to do."""
