"""Records and cells as bytes, between the steps of a flow and on their way to a topic."""
