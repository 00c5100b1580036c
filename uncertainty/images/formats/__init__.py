"""How images are stored: one file a format, found by the first bytes of a file, never by its name."""
