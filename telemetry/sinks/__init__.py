"""One projection of the record a file."""
