"""The interface to Bytewax: source, operators, sink, and the state that a snapshot keeps."""
