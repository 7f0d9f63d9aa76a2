"""What Bytewax wants: source, operators, sink, and the state that a snapshot keeps."""
