"""A term, two networks, a source and a protocol for packdepth."""
