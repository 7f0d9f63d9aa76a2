"""The file formats that `replay` reads: one module each, registered in `generator.formats.registry`."""
